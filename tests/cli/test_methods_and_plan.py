"""`lth methods` lists what the options take; `lth plan` prints every change of a mask before anything runs."""

import json
from pathlib import Path
from typing import get_args

import pytest

from lth.cli.main import main
from lth.config.find_ticket import Kept, Pruned, Sparsification
from lth.sparsity import CRITERIA, GRANULARITIES, PRUNED_ACTIONS, SCHEDULES, SCOPES


def run(*command: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(command)
    assert exit_info.value.code == 0


def test_methods_lists_every_entry_of_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    run("methods", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["criterion"].keys() == CRITERIA.keys()
    assert found["scope"].keys() == SCOPES.keys()
    assert found["schedule"].keys() == SCHEDULES.keys()
    assert found["granularity"].keys() == GRANULARITIES.keys() | {"block:RxC", "N:M"}
    assert tuple(found["kept"]) == get_args(Kept)
    assert found["pruned"].keys() == PRUNED_ACTIONS.keys() == set(get_args(Pruned))
    assert {"none", *found["sparsifier"]} == set(get_args(Sparsification))
    assert all(3 < len(line) < 200 for table in found.values() for line in table.values())
    assert len({line for line in found["sparsifier"].values()}) == len(found["sparsifier"])


def test_methods_prints_lines_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    run("methods")
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*CRITERIA, *SCOPES, *GRANULARITIES, *get_args(Kept)))
    assert max(map(len, shown.splitlines())) <= 120


def test_plan_of_a_sparsifier_ends_on_its_target(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = [
        "--sparsifier",
        "gradual",
        "--levels",
        "2",
        "--rate",
        "0.5",
        "--replicates",
        "1",
        "--duration",
        "100it",
    ]
    run("plan", "lenet-300-100", "digits", *arguments, "--store", str(tmp_path), "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["arms"] == ["sparsified", "ticket", "reinit", "random"]
    assert [len(row["changes"]) for row in document["mask_changes"]] == [10, 10]
    assert [row["changes"][-1]["sparsity"] for row in document["mask_changes"]] == [0.5, 0.75]
    assert document["mask_changes"][0]["changes"][-1]["step"] == 85
    run("plan", "lenet-300-100", "digits", *arguments, "--store", str(tmp_path))
    assert "after step      85   50.00 %  prune the lowest weights" in capsys.readouterr().out


def test_plan_of_rounds_tells_each_level(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--schedule", "list", "--level-rates", "0.5,0.1", "--levels", "2", "--replicates", "1"]
    run("plan", "lenet-300-100", "digits", *arguments, "--rates", "none", "--store", str(tmp_path), "--json")
    levels = json.loads(capsys.readouterr().out)["levels"]
    assert [row["density"] for row in levels] == pytest.approx([0.5, 0.45])
    assert [row["removed"] for row in levels] == [25100, 2510]
