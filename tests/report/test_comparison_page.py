"""The page of several studies: what they are called, what it says first, and tables that fit."""

from copy import deepcopy
from dataclasses import replace

from made import language_model, other_seed
from test_report_page import outline

from lth.analysis.labels import Labels
from lth.report import StudyFiles
from lth.report.grids import by_study
from lth.report.names import differing_fields, study_names
from lth.report.page import render


def with_settings(study: StudyFiles, **settings: object) -> StudyFiles:
    """A copy with another ID and other settings."""
    other = other_seed(study)
    other.results["id"] = other.details["id"] = f"{len(settings)}" * 12
    other.results["config"] = {**study.results["config"], **settings}
    return other


def test_a_study_is_called_by_its_name_else_by_what_differs(study: StudyFiles) -> None:
    other = with_settings(study, rate=0.4, rates={"output.weight": 0.2})
    assert list(differing_fields([study, other])) == ["rate", "rates.output.weight"]
    assert study_names([study, other])[1] == "rate 0.4"  # the other follows from it
    named = replace(other, labels=Labels("steep"))
    assert study_names([study, named])[1] == "steep"
    assert study_names([named, named]) == [f"steep ({other.results['id']}) (1)", f"steep ({other.results['id']}) (2)"]


def test_no_study_is_called_by_its_id_alone(study: StudyFiles) -> None:
    many = with_settings(study, rate=0.4, lr=0.5, batch_size=7, levels=3)
    third = with_settings(study, rate=0.4, lr=0.6, batch_size=7, levels=3, seed=1)
    names = study_names([study, many, third])
    assert len(set(names)) == 3
    longer = with_settings(study, replicates=9, levels=3, duration="7it")
    assert study_names([study, longer])[1] == "duration 7it"  # of all that differs, replicates say least
    assert not any(each.results["id"] in name for each, name in zip([study, many, third], names, strict=True))
    assert "lr 0.5" in names[1]
    twin = deepcopy(study)
    twin.results["id"] = twin.details["id"] = "f" * 12
    assert study_names([study, twin])[1].endswith(f"on mnist ({'f' * 12})")


def test_the_page_says_first_which_is_better(study: StudyFiles) -> None:
    other = with_settings(study, lr=0.5)
    for row in other.results["rows"]:
        row["key"] = f"other {row['key']}"
        value = row["end"]["test/accuracy"]
        if row["arm"] == "ticket" and value is not None:
            row["end"]["test/accuracy"] = value - 0.01 - 0.001 * (row["replicate"] % 3)
    text, _ = outline(render([study, other], [], ""))
    said = text.index("lr 0.5 is worse than lr")
    assert said < text.index("Differences") < text.index("Verdicts")
    assert "settled at 21 of 22 places compared" in text
    assert "Watched matrix" not in text


def test_few_studies_lie_across_and_many_below_each_other() -> None:
    rows = {name: [(f"{name}1", ""), (f"{name}2", "")] for name in "ABCDE"}
    many = by_study("Study", ["one", "two"], rows)
    assert many.columns == ("Study", "one", "two")
    assert [line[0][0] for line in many.lines] == list("ABCDE")
    few = by_study("Study", ["one", "two"], {name: rows[name] for name in "AB"})
    assert few.columns == ("", "A", "B")
    assert few.lines == ((("one", ""), ("A1", ""), ("B1", "")), (("two", ""), ("A2", ""), ("B2", "")))


def test_lower_is_better_where_it_is() -> None:
    first, other = language_model(), with_settings(language_model(), lr=0.5)
    for row in other.results["rows"]:
        row["key"] = f"other {row['key']}"
        if row["arm"] == "ticket":
            row["end"]["test/loss"] = (row["end"]["test/loss"] or 0) - 0.1 - 0.001 * row["replicate"]
    text, _ = outline(render([first, other], [], ""))
    assert "lr 0.5 is better than lr 0.003" in text
