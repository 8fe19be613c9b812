"""`lth methods` lists what the options take; `lth plan` prints every change of a mask before anything runs."""

import json
from pathlib import Path

import pytest
from cli_runs import run

from lth.sparsity import CRITERIA, GRANULARITIES, SCHEDULES, SCOPES
from lth.studies import STUDIES
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS
from lth.tasks import TASKS
from lth.training import ENGINES, SPARSIFIERS


def test_methods_lists_every_entry_of_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "methods", "--json"))
    tables = {
        "criterion": CRITERIA, "scope": SCOPES, "schedule": SCHEDULES, "kept": KEPT_ACTIONS, "pruned": PRUNED_ACTIONS,
        "sparsifier": SPARSIFIERS, "engine": ENGINES, "task": TASKS,
    }  # fmt: skip
    for option, table in tables.items():
        assert list(found[option]) == list(table)
    assert list(found["controls"]) == ["reinit", "random", "permuted", "one-shot"]
    assert "of the remaining weights" in found["schedule"]["iterative"]
    assert found["granularity"].keys() == GRANULARITIES.keys() | {"block:RxC", "N:M"}
    assert all(3 < len(line) < 200 for table in found.values() for line in table.values())
    assert all(len(set(table.values())) == len(table) for table in found.values())


def test_an_entry_of_a_script_stands_among_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEDULES, "mine", SCHEDULES["one-shot"])
    assert "mine" in json.loads(run(capsys, "methods", "--json"))["schedule"]


def test_methods_prints_lines_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "methods")
    assert all(name in shown for name in (*CRITERIA, *SCOPES, *GRANULARITIES, *KEPT_ACTIONS))
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
    document = json.loads(run(capsys, "plan", *arguments, "--store", str(tmp_path), "--json"))
    assert document["arms"] == ["dense", "ticket", "sparsified", "reinit", "random"]
    assert [len(row["changes"]) for row in document["mask_changes"]] == [10, 10]
    assert [row["changes"][-1]["density"] for row in document["mask_changes"]] == [0.5, 0.25]
    assert document["mask_changes"][0]["changes"][-1]["step"] == 85
    shown = run(capsys, "plan", *arguments, "--store", str(tmp_path))
    assert "  weights that sparsified has kept at level 1, level 2:\n" in shown
    assert "after step      85   50.00 %   25.00 %  prune the lowest weights" in shown


def test_plan_of_rounds_tells_each_level(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--schedule", "list", "--level-rates", "0.5,0.1", "--levels", "2", "--replicates", "1"]
    arguments += ["--rates", "none", "--store", str(tmp_path)]
    places = json.loads(run(capsys, "plan", *arguments, "--json"))["places"]
    assert [row["density"] for row in places] == pytest.approx([1.0, 0.5, 0.45])
    assert [row["kept"] for row in places] == [50_200, 25_100, 22_590]
    assert "    level 2    45.00 % kept       22,590 weights" in run(capsys, "plan", *arguments).splitlines()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_plan(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    arguments = ["--replicates", "2", "--duration", "20it", "--store", str(tmp_path / "store")]
    arguments += ["--levels", "1"] if "levels" in STUDIES[name].settings.model_fields else []
    arguments += ["--rewind-steps", "0it,5it"] if "rewind_steps" in STUDIES[name].settings.model_fields else []
    document = json.loads(run(capsys, "plan", name, *arguments, "--json"))
    assert (document["type"], document["done"], document["to_do"]) == (name, 0, document["jobs"])
    assert document["seconds"] > 0
    shown = run(capsys, "plan", name, *arguments)
    assert shown.startswith(f"Study {document['study']}, {name}: lenet-300-100 on digits\n")
    assert f"0 done, {document['jobs']} to do: {document['steps']:,} steps" in shown
    assert f"with {document['at_once']} at once" in shown
    assert not list(tmp_path.iterdir())
    if name == "find-ticket":
        assert run(capsys, "plan", *arguments).splitlines()[:4] == shown.splitlines()[:4]
