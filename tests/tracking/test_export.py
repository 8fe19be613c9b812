"""`lth export` and `--track` on the command line: what live tracking sends, later, once."""

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import outcome, run
from tracked_runs import NAMES, SMALL, Curves, Tracked
from tracked_runs import tensorboard_curves as read

from lth.config import Running
from lth.launch.notes import note_of, register
from lth.lineage import Store
from lth.studies import STUDIES, settings_of


def exported(tracked: Tracked, folder: Path) -> Curves:
    return read(folder / "find-ticket-lenet-300-100-digits" / tracked.found.id, NAMES)


def test_export_sends_what_live_tracking_sent_and_says_what_was_sent_before(
    tracked: Tracked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, id = str(tracked.store), tracked.found.id
    live = f"tensorboard:{tracked.store.parent / 'runs'}"
    said = run(capsys, "export", id[:4], "--to", live, "--store", store)
    assert said == f"{live}: all was sent before (3 trainings); --again sends it anew\n"
    later = f"tensorboard:{tmp_path / 'later'}"
    said = run(capsys, "export", id, "--to", later, "--store", store)
    files = len(tracked.found.tickets) + len(list((tracked.found.folder / "figures").glob("*.png")))
    assert said == f"{later}: 3 trainings sent, results and {files} files\n"
    assert exported(tracked, tmp_path / "later") == exported(tracked, tracked.store.parent / "runs") == tracked.curves
    said = run(capsys, "export", id, "--to", later, "--store", store)
    assert "all was sent before" in said
    shutil.rmtree(tmp_path / "later")
    assert "3 trainings sent" in run(capsys, "export", id, "--to", later, "--store", store, "--again")
    assert exported(tracked, tmp_path / "later") == tracked.curves


def test_export_says_what_is_wrong(tracked: Tracked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, id = ["--store", str(tracked.store)], tracked.found.id
    assert outcome(capsys, "export", id, *store)[::2] == (
        2,
        "lth: name where it goes, as --to tensorboard:runs. See --help.",
    )
    code, _, said = outcome(capsys, "export", "x", "--to", "trackio", *store)
    assert (code, said.startswith("lth: unknown study 'x'")) == (1, True)
    code, _, said = outcome(capsys, "export", id, "--to", "tensorbord", *store)
    assert (code, said.startswith("lth: unknown tracker 'tensorbord'. Did you mean 'tensorboard'")) == (2, True)
    (tmp_path / "file").touch()
    code, _, said = outcome(capsys, "export", id, "--to", f"tensorboard:{tmp_path / 'file'}", *store)
    assert code == 1
    assert len(said.splitlines()) == 1


def test_a_note_of_an_older_lth_is_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lth.launch import load_studies

    [prepared] = load_studies(STUDIES["find-ticket"], [settings_of(STUDIES["find-ticket"], SMALL)])
    store = Store(tmp_path)
    register(prepared, store)
    path = store.study_folder(prepared.id) / "study.json"
    old = json.loads(path.read_text())
    old["created"] = "2001-01-01T00:00:00+00:00"
    del old["trainings"]
    path.write_text(json.dumps(old))
    code, _, said = outcome(capsys, "export", prepared.id, "--to", "tensorboard", "--store", str(tmp_path))
    assert (code, "run its find-ticket command again" in said) == (1, True)
    register(prepared, store)
    new = json.loads(path.read_text())
    assert new["created"] == old["created"]
    assert new["trainings"] == note_of(prepared)["trainings"]
    said = run(capsys, "export", prepared.id, "--to", f"tensorboard:{tmp_path / 'runs'}", "--store", str(tmp_path))
    assert "0 trainings sent, 3 not begun, no results yet" in said


def test_names_with_commas_or_several_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Running(track="wandb,trackio").track == Running(track=["wandb", "trackio"]).track == ("wandb", "trackio")
    assert Running(track="none").track == ()
    several = ["--track", "tensorboard,trackio", "--track", "nothing"]
    code, _, said = outcome(capsys, "find-ticket", "--duration", "20it", "--store", str(tmp_path / "store"), *several)
    assert (code, "unknown tracker 'nothing'" in said) == (2, True)
    assert not (tmp_path / "store" / "studies").exists()
