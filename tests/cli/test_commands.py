"""The commands, on a small real study."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from lth.cli.main import main

SMALL = ["--levels", "2", "--duration", "60it", "--evaluate-every", "20"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    captured = capsys.readouterr()
    assert exit_info.value.code == 0, captured.err
    return captured.out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_find_ticket_end_to_end(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    planned = json.loads(run(capsys, "plan", *SMALL, "--replicates", "2", "--json"))
    assert planned["trainings"] == planned["to_do"] == 2 * (1 + 2 * 3)
    assert not (here / "lth-store").exists()
    results = json.loads(
        run(capsys, "find-ticket", *SMALL, "--replicates", "2", "--json", "--workers", "2", "--out", "page")
    )
    assert results["id"] == planned["study"]
    assert results == json.loads((here / "page" / "results.json").read_text())
    assert [level["density"] for level in results["levels"]] == planned["densities"][1:]
    assert set(results["levels"][0]["arms"]) == {"ticket", "reinit", "random"}
    assert len(results["dense"]["test_accuracy"]["values"]) == 2
    assert (here / "page" / "report.html").stat().st_size > 100_000
    assert run(capsys, "ls").splitlines()[1].split()[0] == results["id"]
    assert results["verdict"]["sentences"][0] in run(capsys, "show", results["id"][:6])
    # A second search with another rate trains the dense networks no more: only its own levels are to do.
    other = json.loads(run(capsys, "plan", *SMALL, "--replicates", "2", "--json", "--rate", "0.3"))
    assert other["to_do"] == other["trainings"] - 2
    # The resolved settings beside the report describe the same study.
    again = json.loads(run(capsys, "plan", "--config", "page/config.yaml", "--json"))
    assert (again["study"], again["to_do"]) == (results["id"], 0)
    report = run(capsys, "report", results["id"], "--out", "again")
    assert (here / "again" / "report.html").exists(), report


def test_a_sweep_makes_several_studies_and_a_comparison(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    settings = {
        "levels": 1, "replicates": 1, "duration": "20it", "controls": "none", "workers": 0, "out": "pages",
        "sweep": {"grid": {"rate": [0.3, 0.6]}, "seeds": 1},
    }  # fmt: skip
    (here / "sweep.yaml").write_text(yaml.safe_dump(settings))
    results = json.loads(run(capsys, "find-ticket", "--config", "sweep.yaml", "--json", "--quiet"))
    assert [each["config"]["rate"] for each in results] == [0.3, 0.6]
    assert len(list((here / "pages").glob("comparison-*/report.html"))) == 1
    assert {(here / "pages" / each["id"] / "report.html").exists() for each in results} == {True}
    with pytest.raises(SystemExit) as exit_info:
        main(["plan", "--config", "sweep.yaml", "--rate", "0.5"])
    assert exit_info.value.code == 2
    assert "'rate' is swept and also set" in capsys.readouterr().err


def test_the_command_line_wins_over_the_file(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mine.yaml").write_text("levels: 3\nreplicates: 2\nlr: 1e-3\n")
    planned = json.loads(run(capsys, "plan", "--config", "mine.yaml", "--levels", "1", "--json"))
    assert (len(planned["densities"]), planned["replicates"]) == (2, 2)


def test_a_model_of_the_users_own(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mynets.py").write_text(
        "from torch import nn\n\ndef make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))\n"
    )
    arguments = ["mynets:make", "digits", *SMALL, "--replicates", "1", "--workers", "1", "--quiet", "--out", "page"]
    output = run(capsys, "find-ticket", *arguments)
    assert "observation, not a claim" in output or "No level" in output
    ticket = next((here / "page" / "tickets").glob("*02*"))
    assert "not checked" in run(capsys, "ticket", "verify", str(ticket))
    assert "give their digest" in run(capsys, "ticket", "verify", str(ticket), "--model", "mynets:make")
    for place in [path for path in sys.path if path == str(here)]:
        sys.path.remove(place)
    sys.modules.pop("mynets", None)
    applied = run(capsys, "ticket", "apply", str(ticket), "--model", "mynets:make", "--out", "weights.safetensors")
    assert "Wrote" in applied


def test_ticket_commands(capsys: pytest.CaptureFixture[str], small_study: Path, tmp_path: Path) -> None:
    file = sorted((small_study / "tickets").glob("*.ticket.safetensors"))[-1]
    shown = run(capsys, "ticket", "show", str(file))
    assert "hidden1.weight" in shown
    assert "derivation" in shown
    document: dict[str, Any] = json.loads(run(capsys, "ticket", "show", str(file), "--json"))
    assert run(capsys, "ticket", "verify", str(file)).count("ok  ") == 4
    out = tmp_path / "weights.safetensors"
    run(capsys, "ticket", "apply", str(file), "--out", str(out))
    weights = load_file(out)
    kept = sum(int(weights[name].count_nonzero()) for name in document["shapes"])
    total = sum(weights[name].numel() for name in document["shapes"])
    assert kept / total == pytest.approx(document["density"], abs=1e-6)


@pytest.mark.parametrize("wait", [6.0])
def test_ctrl_c_stops_with_130_and_the_same_command_goes_on(here: Path, wait: float) -> None:
    command = [sys.executable, "-m", "lth", "find-ticket", "--levels", "1", "--replicates", "1", "--duration"]
    command += ["100000it", "--evaluate-every", "1000", "--controls", "none", "--workers", "1"]
    command += ["--engine", "torch"]  # at work at once: the other compiles itself when it is first used
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 200
    while not list(here.glob("lth-store/work/*/lease.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(wait)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, message = process.communicate(timeout=120)
    assert process.returncode == 130, message
    assert "the same command goes on" in message
    assert "Traceback" not in message
    snapshots = list(here.glob("lth-store/work/*/snapshot"))
    assert len(snapshots) == 1
    assert not list(here.glob("lth-store/work/*/lease.json"))


def test_the_engine_is_said_before_and_after(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    arguments = [*SMALL, "--replicates", "1", "--engine", "torch", "--controls", "none"]
    planned = json.loads(run(capsys, "plan", *arguments, "--json"))
    assert [(row["engine"], row["arms"]) for row in planned["engines"]] == [("torch", ["dense", "ticket"])]
    assert f"engine: torch ({planned['engines'][0]['reason']})" in run(capsys, "plan", *arguments)
    with pytest.raises(SystemExit) as exit_info:
        main(["find-ticket", *arguments, "--workers", "1", "--out", "page"])
    captured = capsys.readouterr()
    assert exit_info.value.code == 0, captured.err
    assert captured.err.splitlines()[0] == f"engine: torch ({planned['engines'][0]['reason']})"
    results = json.loads((here / "page" / "results.json").read_text())
    assert (results["engines"], results["environment"]["engine"]) == ({"torch": 3}, "torch")
    assert "engine" not in results["config"]
    assert "Engine    torch" in run(capsys, "show", results["id"])
    assert run(capsys, "ls").splitlines()[1].split()[6] == "torch"
    # Whatever the engine is, it is the same study, and nothing is trained again.
    for engine in ("auto", "torch"):
        again = json.loads(run(capsys, "plan", *arguments[:-4], "--engine", engine, "--controls", "none", "--json"))
        assert (again["study"], again["to_do"]) == (results["id"], 0)


def test_a_sweep_is_looked_at_whole_before_anything_is_trained(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    grid = {"model": ["lenet-300-100", "convnet"]}
    settings = {"levels": 1, "replicates": 1, "duration": "20it", "engine": "sparse", "sweep": {"grid": grid}}
    (here / "sweep.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(SystemExit) as exit_info:
        main(["find-ticket", "--config", "sweep.yaml", "--quiet"])
    assert exit_info.value.code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in here.iterdir()] == ["sweep.yaml"]


def test_mean_squared_error_from_the_command_line(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    arguments = [*SMALL, "--replicates", "1", "--controls", "none", "--workers", "0", "--json"]
    losses = {
        loss: json.loads(run(capsys, "find-ticket", *arguments, "--loss", loss))["dense"]["validation_loss"]["mean"]
        for loss in ("cross_entropy", "mean_squared_error")
    }
    assert 0 < losses["mean_squared_error"] < 0.09 < 0.2 < losses["cross_entropy"]  # 0.09: ten constant logits of 0.1
