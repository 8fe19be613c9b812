"""`lth run` from a file to results, here and by a cluster; `lth status`, `lth logs`, `lth cancel`."""

import json
import os
from pathlib import Path

import pytest
from stand_ins import put_lsf

from lth.cli.main import main

STUDY = """\
run: find-ticket
levels: 2
replicates: 2
rate: 0.5
duration: 20it
controls: reinit
workers: 0
quiet: true
"""
Run = pytest.CaptureFixture[str]


def run(capsys: Run, *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    shown = capsys.readouterr()
    assert ended.value.code == code, shown.err
    return shown.out if code == 0 else shown.err


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study and a profile, where LSF's commands are stand-ins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    put_lsf(tmp_path / "lsf")
    monkeypatch.setenv("PATH", f"{tmp_path / 'lsf'}:{os.environ['PATH']}")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "lth-profiles.yaml").write_text("normal: {time: 1h, cpus: 1}\ngpu: {gpus: 1}\nlate: {tiem: 1h}\n")
    return tmp_path


def test_a_study_goes_through_a_cluster(place: Path, capsys: Run) -> None:
    (place / "study.yaml").write_text(f"{STUDY}track: tensorboard:runs\n")
    shown = run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal")
    assert "2 parts (job 101), then results (job 102)" in shown
    [manifest] = place.glob("lth-store/launches/*/manifest.json")
    name = manifest.parent.name
    assert (place / "lsf" / "102.job").read_text().startswith("-w ended(101)")
    assert name in run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal", code=1)  # not twice
    assert "0/2" in run(capsys, "status")
    assert "unfinished" in run(capsys, "ls")
    assert "Part 1 of" in run(capsys, "run", str(manifest), "--part", "1")
    early = run(capsys, "run", str(manifest), "--conclude", code=1)
    assert "of part 2" in early
    parts = json.loads(run(capsys, "status", name, "--json"))["parts"]
    assert [(part["done"] == part["jobs"], part["starts"], part["state"]) for part in parts] == [
        (True, 1, "run"),
        (False, 0, "pend"),
    ]
    run(capsys, "run", str(manifest), "--part", "2")
    [study] = (place / "lth-store" / "studies").iterdir()
    told = study.glob("tracking/*/*.jsonl")
    closed = [sum(json.loads(line)["closed"] for line in path.read_text().splitlines()) for path in told]
    assert closed == [5, 5]  # each element told of its own
    assert "Report " in run(capsys, "run", str(manifest), "--conclude")
    assert "all was sent before (10 trainings)" in run(capsys, "export", study.name, "--to", "tensorboard:runs")
    assert "written" in run(capsys, "status", name[:8])
    (manifest.parent / "logs" / "part-2.log").write_text("first\nlast\n")
    assert "last" in run(capsys, "logs", name, "--part", "2", "--lines", "1")
    assert "first" not in run(capsys, "logs", name, "--part", "2", "--lines", "1")
    assert "Cancelled" in run(capsys, "cancel", name)
    assert "All is done already" in run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal")


def test_a_launch_is_called_as_its_study_and_holds_it(
    place: Path, capsys: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "study.yaml").write_text(f"{STUDY}name: far\ntag: paper\n")
    run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal")
    [launch] = (place / "lth-store" / "launches").iterdir()
    assert launch.name == "far-1"
    shown = run(capsys, "show", "far")
    assert "Tags      paper\n" in shown
    assert "Command   lth run study.yaml --launch lsf --profile normal " in shown
    said = run(capsys, "rm", "far", "--yes", code=1)
    assert "is of the launch far-1, which is not over: `lth cancel far-1`, or wait" in said
    with monkeypatch.context() as patch:
        patch.setenv("PATH", os.environ["PATH"].partition(":")[2])  # a machine without LSF
        assert "whether the launch far-1 runs cannot be told" in run(capsys, "rm", "far", "--yes", code=1)
    for part in ("1", "2"):
        run(capsys, "run", str(launch / "manifest.json"), "--part", part)
    run(capsys, "label", "far", "--name", "further")
    run(capsys, "run", str(launch / "manifest.json"), "--conclude")
    assert run(capsys, "show", "further").count("Command ") == 1  # neither name nor command is of the last job
    run(capsys, "cancel", "far")
    run(capsys, "rm", "further", "--yes")


def test_a_damaged_manifest_is_named(place: Path, capsys: Run) -> None:
    for name in ("whole", "broken"):
        (place / "study.yaml").write_text(f"{STUDY}seed: {len(name)}\nname: {name}\n")
        run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal")
    manifest = place / "lth-store" / "launches" / "broken-1" / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    for arguments in (("status",), ("status", "--json")):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert ended.value.code == 1
        assert "whole-1" in said.out  # the others are shown
        assert said.err.startswith(f"lth: launch broken-1: {manifest.relative_to(place)} is damaged (")
    for command in ("status", "cancel", "logs"):
        assert "manifest.json is damaged" in run(capsys, command, "broken", code=1)
        assert "Did you mean 'whole-1'?" in run(capsys, command, "whloe-1", code=1)
    for said in (run(capsys, "rm", name, "--yes", code=1) for name in ("whole", "broken")):
        assert "the launch broken-1 cannot be read" in said or "is of the launch whole-1" in said
    run(capsys, "cancel", "whole")


def test_a_study_runs_here_and_its_configuration_again(place: Path, capsys: Run) -> None:
    assert "10 jobs: 2 replicates" in run(capsys, "run", "study.yaml", "--dry-run")
    shown = run(capsys, "run", "study.yaml")
    assert "Report " in shown
    [configuration] = place.glob("lth-reports/*/config.yaml")
    before = {path.name for path in place.glob("lth-store/objects/*/*")}
    assert "Report " in run(capsys, "run", str(configuration), "--workers", "0")
    assert {path.name for path in place.glob("lth-store/objects/*/*")} == before
    assert len(list(place.glob("lth-store/studies/*"))) == 1


def test_a_dry_run_writes_nothing(place: Path, capsys: Run) -> None:
    before = sorted(place.rglob("*"))
    shown = run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal", "--dry-run")
    assert '#BSUB -J "lth-find-ticket-' in shown
    assert shown.count("#!/bin/bash") == 2
    assert sorted(place.rglob("*")) == before
    (place / "study.yaml").write_text(f"{STUDY}track: tensorbord:runs\n")
    said = run(capsys, "run", "study.yaml", "--launch", "lsf", "--profile", "normal", code=2)
    assert "unknown tracker 'tensorbord'. Did you mean 'tensorboard'" in said


def test_a_job_examines_a_node(place: Path, capsys: Run) -> None:
    shown = run(capsys, "run", "doctor", "--launch", "lsf", "--profile", "gpu", "--dry-run")
    assert "doctor --device cuda" in shown
    assert '#BSUB -gpu "num=1' in shown
    assert "Job        101" in run(capsys, "run", "doctor", "--launch", "lsf", "--profile", "normal")


def test_an_experiment_of_a_file(
    place: Path, capsys: Run, real_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "paper.yaml").write_text("run: zhou-actions\nscale: 0.02\nreplicates: 2\n")
    monkeypatch.setenv("LTH_DATA_DIR", str(real_data_dir))
    shown = run(capsys, "run", "paper.yaml", "--launch", "lsf", "--profile", "normal", "--dry-run")
    assert "[1-2]" in shown  # the experiments of a table share each replicate's dense network
    assert "--conclude" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study.yam",), "unknown experiment or file 'study.yam'"),
        (("none.yaml",), "cannot read none.yaml"),
        (("study.yaml", "--launch", "slrum"), "unknown scheduler 'slrum'. Did you mean 'slurm'"),
        (("study.yaml", "--launch", "lsf", "--profile", "gpus"), "unknown profile 'gpus'. Did you mean 'gpu'"),
        (("study.yaml", "--launch", "lsf", "--profile", "late"), "'late': unknown setting 'tiem'. Did you mean 'time'"),
        (("study.yaml", "--scale", "0.1"), "--scale is of experiments"),
        (("study.yaml", "--part", "1"), "of a manifest"),
        (("study.yaml", "--profile", "gpu"), "give --launch slurm or lsf"),
        (("manifest.json", "--part", "1", "--workers", "2"), "--part N alone"),
        (("manifest.json",), "--conclude writes results"),
        (("scale.yaml",), "scale.yaml: scale"),
        (("bare.yaml",), "must say what to run"),
        (("wrong.yaml",), "unknown study or experiment 'find-tickets'. Did you mean 'find-ticket'"),
        (("level.yaml",), "level.yaml: unknown setting 'levles'. Did you mean 'levels'?"),
        (("paper.yaml",), "paper.yaml: unknown setting 'levels'. Choices: scale, replicates,"),
        (("doctor",), "--launch slurm or lsf"),
        (("manifest.json", "--part", "1"), "cannot read manifest.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_commands_are_one_line(place: Path, capsys: Run, arguments: tuple[str, ...], message: str) -> None:
    (place / "bare.yaml").write_text("levels: 2\n")
    (place / "scale.yaml").write_text("run: zhou-actions\nscale: half\n")
    (place / "wrong.yaml").write_text("run: find-tickets\n")
    (place / "level.yaml").write_text("run: find-ticket\nlevles: 2\n")
    (place / "paper.yaml").write_text("run: zhou-actions\nlevels: 2\n")
    said = run(capsys, "run", *arguments, code=2)
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "cancel", "logs"])
def test_an_unknown_launch_is_named(place: Path, capsys: Run, command: str) -> None:
    assert "holds no launches" in run(capsys, command, "find", code=1)


def test_a_store_without_launches(place: Path, capsys: Run) -> None:
    assert "holds no launches" in run(capsys, "status")
