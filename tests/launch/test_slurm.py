"""A running Slurm: arrays and what depends on them, preemption, a killed node, two nodes, a failing element."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_lab import Lab, why_not

import lth

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

STUDY = """\
run: find-ticket
levels: 3
replicates: 2
rate: 0.5
duration: {steps}it
evaluate_every: 100
engine: torch
"""
PROFILES = """\
small: {time: 20m, cpus: 1, save_before: 60}
ranks: {time: 20m, cpus: 1, nodes: 2, ranks: 1, save_before: 60, environment: {MASTER_ADDR: 127.0.0.1}}
broken: {time: 20m, cpus: 1, setup: '[ "$SLURM_ARRAY_TASK_ID" = 2 ] && exit 9'}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    try:
        started = Lab(tmp_path_factory.mktemp("slurm"))
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"Slurm does not start on this machine: {error}")
    yield started
    started.stop()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with profiles and a study."""
    (tmp_path / "lth-profiles.yaml").write_text(PROFILES)
    (tmp_path / "study.yaml").write_text(STUDY.format(steps=300))
    return tmp_path


def run(lab: Lab, place: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "lth", *arguments]
    environment = lab.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def launched(lab: Lab, place: Path, profile: str = "small", *more: str) -> tuple[str, dict[str, str]]:
    """Return the name of a launch, and the numbers of its jobs."""
    said = run(lab, place, "run", "study.yaml", "--launch", "slurm", "--profile", profile, *more)
    name = said.split()[1].rstrip(":")
    return name, json.loads((place / "lth-store" / "launches" / name / "jobs.json").read_text())


def states(lab: Lab, jobs: dict[str, str]) -> dict[str, str]:
    """Return what Slurm says of each element, and of the last job as "end"."""
    lines = lab.said(["squeue", "-h", "-r", "-t", "all", "-j", ",".join(jobs.values()), "-o", "%F|%K|%T"]).splitlines()
    rows = [line.split("|") for line in lines]
    return {("end" if number == jobs["end"] else element): word for number, element, word in rows}


def is_over(lab: Lab, jobs: dict[str, str]) -> bool:
    return states(lab, jobs).get("end") in ("COMPLETED", "FAILED", "CANCELLED")


def at_once(lab: Lab, jobs: dict[str, str]) -> None:
    """Let requeued elements start now: Slurm holds them for two minutes."""
    for element, word in states(lab, jobs).items():
        if word == "PENDING" and element != "end":
            lab.said(["scontrol", "update", f"JobId={jobs['parts']}_{element}", "StartTime=now"])


def finish(lab: Lab, jobs: dict[str, str]) -> None:
    def over() -> bool:
        at_once(lab, jobs)
        return is_over(lab, jobs)

    lab.wait_until(over, "the last job to end", 420)


def bits(store: Path) -> dict[str, str]:
    """Return a digest of everything that a store holds, but for how it came about and how long it took."""
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.glob("objects/**/*"))
        if path.is_file() and path.name not in ("manifest.json", "times.json")
    }


def undisturbed(place: Path, tmp: Path, **settings: object) -> dict[str, str]:
    """Return the bits of the same study, run here."""
    lth.study(
        "find-ticket",
        store=tmp / "local-store",
        out=tmp / "local-out",
        progress=False,
        execution=lth.Execution(workers=1, engine="torch"),
        levels=3,
        replicates=2,
        rate=0.5,
        evaluate_every=100,
        **settings,
    )
    return bits(tmp / "local-store")


def end_log(place: Path, name: str) -> str:
    path = place / "lth-store" / "launches" / name / "logs" / "end.log"
    return path.read_text() if path.exists() else "no log"


def starts(place: Path, name: str) -> list[int]:
    """Return how often each of the two parts was started."""
    notes = [place / "lth-store" / "launches" / name / "parts" / f"{number}.json" for number in (1, 2)]
    return [json.loads(path.read_text())["starts"] if path.exists() else 0 for path in notes]


def is_begun(place: Path) -> bool:
    return any(place.glob("lth-store/work/*/snapshot")) or any(place.glob("lth-store/objects/*/*"))


def test_a_preemption_and_a_killed_node_change_no_bit(lab: Lab, place: Path, tmp_path: Path) -> None:
    (place / "study.yaml").write_text(STUDY.format(steps=1500))
    name, jobs = launched(lab, place)
    lab.wait_until(lambda: is_begun(place) and "RUNNING" in states(lab, jobs).values(), "a training to begin")
    script = tmp_path / "urgent.sh"
    script.write_text("#!/bin/bash\nsleep 3\n")
    lab.said(["sbatch", "-p", "high", "-N", "2", "--exclusive", "-o", "/dev/null", str(script)])
    lab.wait_until(lambda: set(states(lab, jobs).values()) == {"PENDING"}, "both elements to be preempted")
    logs = "".join(path.read_text() for path in (place / "lth-store" / "launches" / name / "logs").glob("part-*"))
    assert "told to stop by SIGTERM: snapshots are saved" in logs
    at_once(lab, jobs)
    lab.wait_until(lambda: min(starts(place, name)) == 2, "both elements to start again")
    node = lab.said(["squeue", "-h", "-t", "R", "-o", "%N", "-j", jobs["parts"]]).splitlines()[0]
    lab.kill_node(int(node.removeprefix("n")))
    lab.said(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed"])
    time.sleep(2)
    lab.start_node(int(node.removeprefix("n")))
    lab.said(["scontrol", "update", f"NodeName={node}", "State=RESUME"])
    finish(lab, jobs)
    assert list(place.glob("lth-store/studies/*/results.json")), end_log(place, name)
    assert bits(place / "lth-store") == undisturbed(place, tmp_path, duration="1500it")
    assert max(starts(place, name)) == 3  # preempted, then its node was killed
    assert "written" in run(lab, place, "status", name)


def test_usr1_saves_and_requeues(lab: Lab, place: Path) -> None:
    (place / "study.yaml").write_text(STUDY.format(steps=6000))
    name, jobs = launched(lab, place)
    lab.wait_until(lambda: is_begun(place) and "RUNNING" in states(lab, jobs).values(), "a training to begin")
    lab.said(["scancel", "--signal=USR1", f"{jobs['parts']}_1"])
    log = place / "lth-store" / "launches" / name / "logs" / "part-1.log"
    lab.wait_until(lambda: states(lab, jobs).get("1") == "PENDING", "element 1 to be put back")
    assert "interrupted by SIGUSR1" in log.read_text()
    assert "2" in states(lab, jobs)
    said = run(lab, place, "status", name)
    assert "pending" in said
    assert "begun" in said.lower()
    run(lab, place, "cancel", name)
    lab.wait_until(lambda: set(states(lab, jobs).values()) <= {"CANCELLED"}, "all to be cancelled")
    assert not any(place.glob("lth-store/studies/*/results.json"))


def test_a_failing_element_leaves_the_others_alone(lab: Lab, place: Path) -> None:
    name, jobs = launched(lab, place, "broken")
    finish(lab, jobs)
    end = (place / "lth-store" / "launches" / name / "logs" / "end.log").read_text()
    assert "of part 2" in end
    assert "submit the study again" in end
    again, jobs = launched(lab, place)  # what is missing alone
    manifest = json.loads((place / "lth-store" / "launches" / again / "manifest.json").read_text())
    assert len(manifest["parts"]) == 1
    finish(lab, jobs)
    assert list(place.glob("lth-store/studies/*/results.json")), end_log(place, again)
    assert "Part 1 of" in run(lab, place, "logs", again, "--part", "1")


def test_a_launch_that_is_not_over_is_not_doubled(lab: Lab, place: Path) -> None:
    name, jobs = launched(lab, place)
    said = run(lab, place, "run", "study.yaml", "--launch", "slurm", "--profile", "small", code=1)
    assert name in said
    run(lab, place, "cancel", name)
    lab.wait_until(lambda: set(states(lab, jobs).values()) <= {"CANCELLED", "COMPLETED"}, "all to be cancelled")


def test_two_nodes_train_one_network(lab: Lab, place: Path) -> None:
    (place / "study.yaml").write_text("run: train\nreplicates: 1\nduration: 60it\nbatch_size: 64\n")
    name, jobs = launched(lab, place, "ranks")
    finish(lab, jobs)
    results = json.loads(next((place / "lth-store" / "studies").glob("*/results.json")).read_text())
    assert results["rows"]
    log = (place / "lth-store" / "launches" / name / "logs" / "part-1.log").read_text()
    assert "batch: 64 examples: 2 processes" in log
