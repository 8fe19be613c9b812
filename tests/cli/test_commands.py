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
from cli_runs import outcome, run
from safetensors.torch import load_file

SMALL = ["--levels", "2", "--duration", "60it", "--evaluate-every", "20"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_find_ticket_end_to_end(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    planned = json.loads(run(capsys, "plan", *SMALL, "--replicates", "2", "--json"))
    assert planned["jobs"] == planned["to_do"] == 2 * (1 + 2 * 3)
    assert (planned["done"], planned["steps"], planned["arms"]) == (0, 14 * 60, ["dense", "ticket", "reinit", "random"])
    assert not (here / "lth-store").exists()
    results = json.loads(
        run(capsys, "find-ticket", *SMALL, "--replicates", "2", "--json", "--workers", "2", "--out", "page")
    )
    assert results["id"] == planned["study"]
    assert results == json.loads((here / "page" / "results.json").read_text())
    rows = results["rows"]
    assert len(rows) == planned["jobs"]
    densities = {row["at"]["level"]: row["at"]["density"] for row in rows}
    assert densities == {place["level"]: place["density"] for place in planned["places"]}
    assert {row["arm"] for row in rows if row["at"]["level"] == 1} == {"ticket", "reinit", "random"}
    assert all(0 < row["end"]["test/accuracy"] <= 1 for row in rows)
    assert (here / "page" / "report.html").stat().st_size > 100_000
    assert run(capsys, "ls").splitlines()[1].split()[0] == results["id"]
    assert results["verdict"]["sentences"][0] in run(capsys, "show", results["id"][:6])
    # A second search with another rate trains the dense networks no more: only its own levels are to do.
    other = json.loads(run(capsys, "plan", *SMALL, "--replicates", "2", "--json", "--rate", "0.6"))
    assert (other["done"], other["to_do"]) == (2, other["jobs"] - 2)
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
    assert len(json.loads(run(capsys, "plan", "--config", "sweep.yaml", "--json"))) == 2
    code, _, message = outcome(capsys, "plan", "--config", "sweep.yaml", "--rate", "0.5")
    assert code == 2
    assert message.startswith("lth: sweep.yaml: ")
    assert "'rate' is swept and also set" in message


def test_the_command_line_wins_over_the_file(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mine.yaml").write_text("levels: 3\nreplicates: 2\nlr: 1e-3\n")
    planned = json.loads(run(capsys, "plan", "--config", "mine.yaml", "--levels", "1", "--json"))
    assert (len(planned["places"]), planned["replicates"]) == (2, 2)


def test_a_model_of_the_users_own(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mynets.py").write_text(
        "from torch import nn\n\ndef make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))\n"
    )
    arguments = ["mynets:make", "digits", *SMALL, "--replicates", "1", "--workers", "1", "--quiet", "--out", "page"]
    output = run(capsys, "find-ticket", *arguments)
    assert "an observation and not a claim" in output
    assert f"Tickets    {Path('page') / 'tickets'} (2 files)" in output
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
    results = json.loads((small_study / "results.json").read_text())
    row = next(row for row in results["rows"] if row["key"].startswith(shown.splitlines()[-1].split()[0]))
    assert f"  test accuracy {100 * row['end']['test/accuracy']:.2f} %, best at step {row['best_step']}\n" in shown
    for arm in ("dense", "ticket", "reinit", "random"):
        assert f"    {arm:8} mean of 2: " in shown
    document: dict[str, Any] = json.loads(run(capsys, "ticket", "show", str(file), "--json"))
    assert run(capsys, "ticket", "verify", str(file)).count("ok  ") == 4
    out = tmp_path / "weights.safetensors"
    run(capsys, "ticket", "apply", str(file), "--out", str(out))
    weights = load_file(out)
    kept = sum(int(weights[name].count_nonzero()) for name in document["shapes"])
    total = sum(weights[name].numel() for name in document["shapes"])
    assert kept / total == pytest.approx(document["density"], abs=1e-6)


@pytest.mark.slow
def test_ctrl_c_stops_with_130_and_the_same_command_goes_on(here: Path) -> None:
    command = [sys.executable, "-m", "lth", "find-ticket", "--levels", "1", "--replicates", "1", "--duration"]
    command += ["100000it", "--evaluate-every", "1000", "--controls", "none", "--workers", "1"]
    command += ["--engine", "torch"]  # at work at once: the other compiles itself when it is first used
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 200
    while not list(here.glob("lth-store/work/*/lease.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(6.0)
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
    code, _, said = outcome(capsys, "find-ticket", *arguments, "--workers", "1", "--out", "page")
    assert code == 0, said
    assert said.splitlines()[0] == f"engine: torch ({planned['engines'][0]['reason']})"
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
    code, _, message = outcome(capsys, "find-ticket", "--config", "sweep.yaml", "--quiet")
    assert code == 2
    assert len(message.splitlines()) == 1
    assert [path.name for path in here.iterdir()] == ["sweep.yaml"]


def test_mean_squared_error_from_the_command_line(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    arguments = [*SMALL, "--replicates", "1", "--controls", "none", "--workers", "0", "--json"]
    losses = {}
    for loss in ("cross_entropy", "mean_squared_error"):
        results = json.loads(run(capsys, "find-ticket", *arguments, "--loss", loss))
        dense = next(row for row in results["rows"] if row["arm"] == "dense")
        losses[loss] = dense["end"]["test/loss"]
    assert 0 < losses["mean_squared_error"] < 0.09 < 0.2 < losses["cross_entropy"]  # 0.09: ten constant logits of 0.1


@pytest.mark.slow
def test_a_training_function_of_the_users_own(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "mycode.py").write_text(
        """import torch
from torch import nn


def make(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))


def train(network, run):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    run.guard(optimizer)
    for batch in run.batches():
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch["x"]), batch["y"]).backward()
        optimizer.step()
        run.step()


def failing(network, run):
    return {}["nothing"]


def measure(network):
    return {"weight": float(network[1].weight.detach().abs().mean())}
"""
    )
    own = ["mycode:make", "digits", "--train", "mycode:train", *SMALL, "--replicates", "1", "--quiet"]
    planned = json.loads(run(capsys, "plan", *own[:-1], "--json"))
    assert [(row["engine"], row["reason"]) for row in planned["engines"]] == [("yours", "mycode:train")]
    assert (planned["seconds"], planned["speed_from"]) == (
        None,
        "unknown until a training by your function is finished",
    )
    results = json.loads(run(capsys, "find-ticket", *own, "--workers", "1", "--json", "--out", "page"))
    assert results["config"]["train"] == "mycode:train"
    assert results["engines"] == {"yours": 7}
    assert min(row["end"]["test/accuracy"] for row in results["rows"] if row["arm"] == "ticket") > 0.3
    measured = ["--evaluate", "mycode:measure", "--metrics", "weight=lower"]
    results = json.loads(run(capsys, "find-ticket", *own, *measured, "--workers", "0", "--json", "--out", "page"))
    assert (results["primary"], results["metrics"]["weight"]["better"]) == ("weight", "lower")
    ticket = sorted((here / "page" / "tickets").glob("*"))[-1]
    assert "  test weight 0." in run(capsys, "ticket", "show", str(ticket))
    # The store tells how long such a training takes. New code is trained anew: its version says so.
    other = json.loads(run(capsys, "plan", *own[:-1], "--rate", "0.6", "--json"))
    assert other["speed_from"] == "the median of 1 finished trainings"
    again = json.loads(run(capsys, "plan", *own[:-1], "--train-version", "2", "--json"))
    assert (again["done"], again["to_do"]) == (0, again["jobs"])
    code, _, message = outcome(capsys, "find-ticket", *own, "--engine", "torch")
    assert code == 2
    assert "engine 'torch' has no use for your function 'mycode:train'" in message
    for workers in ("0", "1"):
        failing = [word.replace("mycode:train", "mycode:failing") for word in own]
        code, _, message = outcome(capsys, "find-ticket", *failing, "--workers", workers)
        assert (code, message.splitlines()[0]) == (
            1, "lth: your function 'mycode:failing' failed: KeyError: 'nothing'. --debug shows where",
        )  # fmt: skip
