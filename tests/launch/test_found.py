"""What a study left, in a script or a notebook: text, table, frame, figures, tickets."""

from pathlib import Path
from typing import Any

import pytest
import torch

import lth
from lth.lineage import Store, Ticket
from lth.sparsity import density


def store_of(found: lth.Found) -> Path:
    return found.folder.parent / "store"


def test_it_prints_as_a_few_lines(small_found: lth.Found) -> None:
    lines = repr(small_found).splitlines()
    assert lines[0] == small_found.verdict["title"]
    assert lines[1] == small_found.verdict["sentences"][0]
    assert lines[3] == "test accuracy in %, means over 2 replicates ± half of the 95 % interval"
    table = [line.split() for line in lines[4:-2]]
    assert table[0] == ["level", "kept", "dense", "ticket", "reinit", "random", "best", "step"]
    assert [row[0] for row in table[1:]] == ["0", "1", "2", "3"]
    assert lines[-1] == f"Report: {small_found.report}"
    assert len(lines) < 15


def test_a_long_table_is_cut_around_the_verdict(small_found: lth.Found) -> None:
    rows = small_found.results["rows"]
    [last] = [row for row in rows if row["arm"] == "ticket" and row["replicate"] == 0 and row["at"]["level"] == 3]
    more = [{**last, "at": {"level": level, "density": 0.5**level}} for level in range(4, 21)]
    verdict = {**small_found.verdict, "at": {"level": 9}}
    results: Any = {**small_found.results, "rows": [*rows, *more], "verdict": verdict}
    lines = repr(lth.Found(results, small_found.folder, {})).splitlines()
    assert [line.split()[0] for line in lines[5:-3]] == ["0", "8", "9", "10", "19", "20"]
    assert lines[-3] == "(6 of 21 rows; all in the report, and in frame())"
    assert len(lines) == 14


def test_it_shows_as_a_table_in_a_notebook(small_found: lth.Found) -> None:
    page = small_found._repr_html_()
    assert page.count("<tr>") == 1 + 4
    for head in ("level", "kept", "dense", "ticket", "reinit", "random"):
        assert f"<th>{head}</th>" in page
    assert "means over 2 replicates" in page
    assert "<script" not in page


def test_names_are_escaped_in_a_notebook(small_found: lth.Found) -> None:
    results = {**small_found.results, "verdict": {**small_found.verdict, "title": "<b>a & b</b>"}}
    page = lth.Found(results, small_found.folder, {})._repr_html_()  # type: ignore[arg-type]
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page


def test_rows_are_a_tidy_frame(small_found: lth.Found) -> None:
    pandas = pytest.importorskip("pandas")
    frame = small_found.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == len(small_found.results["rows"]) == 2 * (1 + 3 * 3)
    assert {"arm", "replicate", "level", "density", "test/accuracy", "best test/accuracy", "best_step"} <= {*frame}
    means = frame.groupby("arm")["test/accuracy"].mean()
    rows = [row["end"]["test/accuracy"] for row in small_found.results["rows"] if row["arm"] == "ticket"]
    assert means["ticket"] == pytest.approx(sum(rows) / len(rows))


def test_figures_are_charts(small_found: lth.Found) -> None:
    names = [plot["name"] for plot in small_found.results["plots"]]
    assert names[:2] == ["quality", "early_stopping"]
    drawn = [name for name in names if not name.startswith(("watched", "super_weights"))]  # nothing was watched
    charts = [small_found.figure(name).to_dict() for name in (None, *drawn)]
    assert charts[0] == charts[1]
    assert all("$schema" in each for each in charts)
    with pytest.raises(ValueError, match=r"'qualty'.*quality"):
        small_found.figure("qualty")


def test_tickets_by_level_and_replicate(small_found: lth.Found) -> None:
    assert [path.name for path in small_found.tickets] == [
        f"level-0{level}-replicate-{replicate}.ticket.safetensors" for level in (1, 2, 3) for replicate in (0, 1)
    ]
    ticket = small_found.ticket(2, replicate=1)
    assert isinstance(ticket, Ticket)
    assert (ticket.document["labels"]["level"], ticket.document["labels"]["replicate"]) == (2, 1)
    assert density(ticket.masks) == pytest.approx(0.256, abs=0.01)
    level = small_found.verdict["at"].get("level", 3)
    assert small_found.ticket().document["labels"] == {**ticket.document["labels"], "level": level, "replicate": 0}
    with pytest.raises(ValueError, match=r"no ticket of level 9, replicate 0. There are: level-01-replicate-0"):
        small_found.ticket(9)


def test_a_tickets_weights_before_and_after_training(small_found: lth.Found) -> None:
    ticket = small_found.ticket(2)
    start, end = ticket.starting_weights(), ticket.trained_weights(store_of(small_found))
    for name, mask in ticket.masks.items():
        assert not start[name][~mask].any()
        assert not end[name][~mask].any()
        assert not torch.equal(start[name][mask], end[name][mask])
    own = ticket.document["scores"]["own"]["end"]["test/accuracy"]
    row = next(row for row in small_found.results["rows"] if row["key"] == ticket.document["key"])
    assert own == row["end"]["test/accuracy"]
    with pytest.raises(lth.StoreError, match="is missing"):
        ticket.trained_weights(small_found.folder)


def test_what_was_found_is_found_again(small_found: lth.Found) -> None:
    """By the beginning of its ID, or by the folder of its report."""
    store = store_of(small_found)
    for found in (lth.results(small_found.id[:4], store), lth.results(str(small_found.folder))):
        assert found.results == small_found.results
        assert found.id == small_found.id
        assert [path.name for path in found.tickets] == [path.name for path in small_found.tickets]
        assert found.details == small_found.details


def test_a_study_that_is_not_there_is_an_error(small_found: lth.Found, tmp_path: Path) -> None:
    store = store_of(small_found)
    with pytest.raises(ValueError, match=f"unknown study 'zz'.* Choices: {small_found.id}"):
        lth.results("zz", store)
    with pytest.raises(ValueError, match="holds no studies"):
        lth.results("1a2b", tmp_path)
    other = Store(store).study_folder(small_found.id[:2] + "zzzzzzzzzz")
    other.mkdir()
    try:
        with pytest.raises(ValueError, match="is short for several"):
            lth.results(small_found.id[:2], store)
    finally:
        other.rmdir()
