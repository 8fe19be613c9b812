"""`lth ls` tells studies apart: names, tags, the settings in which they differ, within a terminal's width."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from cli_runs import outcome, run

from lth.analysis.labels import Labels, write_labels
from lth.cli import ls as command

CONFIG = {"model": "lenet-300-100", "data": "digits", "replicates": 5, "levels": 10, "rate": 0.2}
VERDICT = {"summary": "34.8 % (the controls are not clearly worse than the ticket)"}


def put(store: Path, id: str, study: str = "find-ticket", **config: Any) -> Path:
    folder = store / "studies" / id
    folder.mkdir(parents=True)
    note = {"id": id, "study": study, "created": f"2026-01-0{len([*folder.parent.iterdir()])}T10:00:00+00:00",
            "config": CONFIG | config, "keys": ["aa11"], "jobs": ["aa11"]}  # fmt: skip
    (folder / "study.json").write_text(json.dumps(note))
    (folder / "results.json").write_text(json.dumps({"verdict": VERDICT, "engines": {"sparse": 4}}))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two searches that differ in their rate, one of them named and tagged, and a merge."""
    write_labels(put(tmp_path, "111111111111"), Labels("slow-pruning", ("paper",)))
    put(tmp_path, "222222222222", rate=0.4)
    write_labels(put(tmp_path, "333333333333", "merge"), Labels(None, ("paper", "draft")))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [line.split()[0] for line in run(capsys, "ls", *arguments).splitlines()]


def test_two_studies_are_told_apart(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    head, first, second, merge = run(capsys, "ls", "--store", str(store)).splitlines()
    assert head.split() == [*command.COLUMNS]
    assert first.split()[:2] == ["111111111111", "slow-pruning"]
    assert (first.split()[-1], second.split()[-1]) == ("rate=0.2", "rate=0.4")
    assert "rate=" not in merge  # it is the only one of its kind
    assert "paper,draft" in merge


def test_columns_that_say_nothing_are_left_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    put(tmp_path, "111111111111")
    head = run(capsys, "ls", "--store", str(tmp_path)).splitlines()[0].split()
    assert head == [title for title in command.COLUMNS if title not in ("NAME", "TAGS", "SETTINGS")]


def test_some_of_them(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    where = ["--store", str(store)]
    assert listed(capsys, *where, "--tag", "paper") == ["ID", "111111111111", "333333333333"]
    assert listed(capsys, *where, "--tag", "paper,draft") == ["ID", "333333333333"]
    assert listed(capsys, *where, "--tag", "paper", "--study", "find-ticket") == ["ID", "111111111111"]
    assert "None of the 3 studies" in run(capsys, "ls", *where, "--tag", "no")
    code, _, message = outcome(capsys, "ls", *where, "--study", "find-tikcet")
    assert (code, "Did you mean 'find-ticket'?" in message) == (2, True)


def test_json_has_all(capsys: pytest.CaptureFixture[str], store: Path) -> None:
    rows = json.loads(run(capsys, "ls", "--store", str(store), "--json"))
    assert [row["settings"] for row in rows] == [{"rate": 0.2}, {"rate": 0.4}, {}]
    assert [row["name"] for row in rows] == ["slow-pruning", None, None]
    assert [row["tags"] for row in rows] == [["paper"], [], ["paper", "draft"]]


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_a_terminal_is_never_overrun(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Path, width: int
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    head, *lines = run(capsys, "ls", "--store", str(store)).splitlines()
    assert max(map(len, (head, *lines))) <= width
    if "SETTINGS" not in head:  # they stand below
        assert [line.strip() for line in lines if line.startswith(" ")] == ["rate=0.2", "rate=0.4"]
        assert [line.strip() for line in lines][1::2] == ["rate=0.2", "rate=0.4"]
    else:
        assert [line.split()[-1] for line in lines[:2]] == ["rate=0.2", "rate=0.4"]
    assert ("SETTINGS" in head) == (width >= 140)
    assert lines[0].startswith("111111111111  slow-pruning  ")


def test_damaged_labels_are_named_and_stop_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    (store / "studies" / "222222222222" / "labels.json").write_text("{")
    monkeypatch.setattr(sys, "warnoptions", [])
    for arguments in (["ls"], ["show", "222222", "--json"]):
        with warnings.catch_warnings(action="default"):
            code, shown, message = outcome(capsys, *arguments, "--store", str(store))
        assert (code, bool(shown)) == (0, True)
        assert message.startswith("lth: warning: ")
        assert "labels.json is damaged" in message
    code, _, message = outcome(capsys, "label", "2222", "--tag", "new", "--store", str(store))
    assert (code, "name, tags and commands are lost, nothing else" in message) == (1, True)
    assert "tags: paper, new" in run(
        capsys, "label", "1111", "--tag", "new", "--store", str(store)
    )  # its own are whole
