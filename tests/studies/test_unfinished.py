"""What an unfinished study of any kind shows, marked as unfinished."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from builds import HERE
from cli_runs import outcome, run
from pydantic import TypeAdapter
from test_every_study import COMMON, SMALL

import lth
from lth.analysis import read_documents
from lth.analysis.documents import Results
from lth.analysis.labels import Labels, ran_now, write_labels
from lth.analysis.notes import read_note
from lth.data import load_data
from lth.launch.notes import register
from lth.launch.stored import load_noted
from lth.launch.unfinished import count_trainings, finished_points, unfinished_results, write_unfinished
from lth.lineage import Store, build
from lth.models import resolve_factory
from lth.report import read_study, write_report
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare


def made(study: str, **fields: Any) -> Study:
    given = {"model": "lenet-300-100", "data": "digits", **COMMON, **SMALL.get(study, {}), **fields}
    settings = settings_of(STUDIES[study], given)
    return prepare(STUDIES[study], settings, resolve_factory("lenet-300-100"), load_data("digits"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_reports_what_is_done_of_it(study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, store = made(study), Store(tmp_path / "store")
    register(whole, store)
    kept = (tmp_path / "store" / "studies" / whole.id / "study.json").read_bytes()
    for share in (0.3, 0.7):
        build(whole.targets[: max(1, round(share * len(whole.targets)))], store, whole.sources, HERE)
        done, total = count_trainings(whole, store)
        found = write_unfinished(whole, store)
        assert found.folder.name.endswith(f"{whole.id}-unfinished")
        page = write_report([read_study(found.folder)], found.folder).read_text()
        results, _ = read_documents(found.folder)
        TypeAdapter(Results).validate_python(results)
        assert (results["id"], results["unfinished"]) == (whole.id, {"done": done, "of": total})
        verdict = results["verdict"]
        assert (verdict["found"], verdict["confirmed"]) == (False, None)
        assert verdict["summary"] == f"unfinished ({done} of {total} trainings)"
        assert verdict["title"].startswith(f"Unfinished, {done} of {total} trainings: ")
        assert verdict["sentences"][0].startswith("This study is unfinished: ")
        assert not [sentence for sentence in verdict["sentences"] if "diverged" in sentence]
        assert not [sentence for sentence in verdict["sentences"] if "of this study" in sentence]
        assert all(row["end"] for row in results["rows"])
        assert f"Unfinished, {done} of {total} trainings" in page
        assert not found.tickets
    assert {path.name for path in (store.study_folder(whole.id)).iterdir()} == {"study.json", "derivation.json"}
    assert (store.study_folder(whole.id) / "study.json").read_bytes() == kept
    assert load_noted(read_note(store.study_folder(whole.id) / "study.json")).id == whole.id  # `lth resume` finds it


def test_what_is_kept_is_done_in_every_replicate_that_is_kept(tmp_path: Path) -> None:
    whole, store = made("find-ticket", levels=2, controls="random"), Store(tmp_path)

    def kept(count: int) -> list[tuple[str, int, float]]:
        build(whole.targets[:count], store, whole.sources, HERE)
        return [(point.arm, point.replicate, float(point.at["level"])) for point in finished_points(whole, store)]

    assert kept(0) == []
    assert kept(1) == [("dense", 0, 0.0)]
    assert kept(3) == [("dense", 0, 0.0), ("dense", 1, 0.0)]  # a ticket of one replicate alone is left out
    both = [("dense", 0, 0.0), ("dense", 1, 0.0), ("ticket", 0, 1.0), ("ticket", 1, 1.0)]
    assert kept(4) == both
    assert len(kept(len(whole.targets))) == len(whole.points)


def failing(study: Study, error: Exception) -> Study:
    def conclude(*_: object) -> NoReturn:
        raise error

    return replace(study, type=replace(study.type, conclude=conclude))


def test_a_verdict_may_lack_what_is_not_done_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole, store = made("find-ticket", levels=1, replicates=1, duration="20it", controls="none"), Store(tmp_path)
    build(whole.targets[:1], store, whole.sources, HERE)
    results = unfinished_results(failing(whole, KeyError("ticket")), store)
    assert results["verdict"]["sentences"][1:2] == ["So far: What would be compared is not done yet."]
    with pytest.raises(TypeError, match="a mistake"):
        unfinished_results(failing(whole, TypeError("a mistake")), store)
    build(whole.targets, store, whole.sources, HERE)
    with pytest.raises(KeyError, match="ticket"):  # nothing lacks
        unfinished_results(failing(whole, KeyError("ticket")), store)


def test_show_and_report_of_an_unfinished_study_and_its_resumption(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = made("find-ticket", levels=2, replicates=1, duration="20it", controls="none", rewind_to="0it")
    store = Store(tmp_path / "lth-store")
    register(whole, store)
    assert "has nothing to show yet: 0 of 3 trainings are done" in run(capsys, "show", whole.id)
    code, _, message = outcome(capsys, "report", whole.id)
    assert (code, "nothing to show yet" in message) == (1, True)
    build(whole.targets[:2], store, whole.sources, HERE)
    shown = run(capsys, "show", whole.id)
    assert "This study is unfinished: 2 of 3 trainings are done." in shown
    assert "ticket" in shown
    assert "Settings" in shown
    said = run(capsys, "report", whole.id)
    assert "This study is unfinished: 2 of 3 trainings are done." in said
    page = Path(said.split("Report     ")[1].strip())
    assert page.parent.name == f"lenet-300-100-digits-{whole.id}-unfinished"
    assert "Unfinished, 2 of 3 trainings" in page.read_text()
    assert "unfinished" in run(capsys, "ls")

    resumed = run(capsys, "resume", whole.id[:6], "--workers", "0", "--quiet")
    assert f"Study      {whole.id}" in resumed
    assert all(map(store.has, whole.targets))
    assert not page.parent.exists()
    assert "unfinished" not in run(capsys, "show", whole.id)
    assert lth.resume(whole.id, progress=False).id == whole.id


def test_a_model_of_a_script_is_resumed_by_its_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_by = [ran_now("python mine.py --fast"), ran_now("lth resume abc")]
    whole = prepare(
        STUDIES["train"],
        settings_of(STUDIES["train"], {"model": "__main__:make_model", "data": "digits", **COMMON}),
        resolve_factory("lenet-300-100"),
        load_data("digits"),
    )
    store = Store(tmp_path / "lth-store")
    register(whole, store)
    write_labels(store.study_folder(whole.id), Labels("mine", (), tuple(made_by)))
    for command in ("resume", "report"):
        code, _, message = outcome(capsys, command, "mine")
        assert code == 1
        assert f"study {whole.id} cannot be loaded from its settings: " in message
        assert message.endswith("What made it goes on from what is done: python mine.py --fast")
    assert "Not finished. study" in run(capsys, "show", "mine")
    with pytest.raises(ValueError, match=r"python mine\.py --fast"):
        lth.resume("mine", progress=False)
    with pytest.raises(ValueError, match="unknown study 'other'"):
        lth.resume("other")
