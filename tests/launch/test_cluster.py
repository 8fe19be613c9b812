"""Launches: independent parts, scripts as they stand in files, what parts and the last job do, commands of LSF."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from stand_ins import put_lsf

from lth.config import Running, SettingsError
from lth.config.profile import Profile
from lth.launch.cluster import (
    SCHEDULERS,
    Launch,
    SchedulerError,
    lacking,
    make_launch,
    read_launch,
    run_part,
    scripts,
    status_of,
)
from lth.launch.load import load_studies
from lth.lineage import Execution, Store, build
from lth.lineage.build import BuildError
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study

SMALL = {"levels": 2, "replicates": 2, "rate": 0.5, "duration": "20it", "controls": "reinit"}
FULL = Profile(
    launch="slurm", partition="gpu", account="lab", qos="long", time="2-00:00:00", gpus=4, ranks=4, nodes=2, cpus=8,
    memory="64G", constraint="a100", concurrent=20, modules=("cuda/12.4", "gcc"), container="apptainer exec --nv a.sif",
    setup=("ulimit -n 4096",), env_file=Path(".env"), environment={"HF_HOME": "/scratch/my cache"},
    command="lth",
)  # fmt: skip
OLD_FILES = Path(__file__).parent / "scripts"


def studies(*settings: dict[str, object]) -> list[Study]:
    study_type = STUDIES["find-ticket"]
    return load_studies(study_type, [settings_of(study_type, SMALL | each) for each in settings])


def launch(store: Path, *settings: dict[str, object], **profile: object) -> Launch:
    asked = Profile(launch="lsf", **profile)  # LSF is asked nothing while a launch is made
    return make_launch(studies(*(settings or ({},))), Running(store=store), asked)


def test_a_part_is_a_replicate(tmp_path: Path) -> None:
    made = launch(tmp_path)
    assert len(made.parts) == 2
    assert not set(made.parts[0].jobs) & set(made.parts[1].jobs)
    [study] = studies({})
    everything = {key for part in made.parts for key in part.jobs}
    assert everything == {job.key for job in lacking([study], Store(tmp_path))}
    replicate = {point.job.key: point.replicate for point in study.points}
    for part in made.parts:
        assert len({replicate[key] for key in part.jobs if key in replicate}) == 1


def test_what_studies_share_is_in_one_part(tmp_path: Path) -> None:
    both = launch(tmp_path, {}, {"rate": 0.3})
    assert len(both.parts) == 2  # the two share each replicate's dense network
    assert all(set(part.keys) == {0, 1} for part in both.parts)
    apart = launch(tmp_path, {}, {"lr": 0.01})
    assert len(apart.parts) == 4


def test_many_chains_share_few_parts_evenly(tmp_path: Path) -> None:
    made = launch(tmp_path, {"replicates": 7}, most_parts=3)
    assert sorted(len(part.jobs) for part in made.parts) == [10, 10, 15]
    whole = launch(tmp_path, {"replicates": 7})
    assert sum(part.steps for part in made.parts) == sum(part.steps for part in whole.parts)


def test_parts_and_the_end_do_what_the_study_does(tmp_path: Path) -> None:
    store, execution = Store(tmp_path / "store"), Execution(workers=0)
    made = launch(store.root)
    made.write()
    read = read_launch(made.manifest)
    assert read == made
    run_part(read, 1, execution)
    assert {job.key for job in lacking(studies({}), store)} == set(made.parts[1].jobs)
    run_part(read, 2, execution)
    assert lacking(studies({}), store) == []
    [study], here = studies({}), Store(tmp_path / "here")
    build(study.targets, here, study.sources, execution)
    assert here.keys() == store.keys()
    assert study.id == made.studies[0].id
    with pytest.raises(SettingsError, match="parts 1 to 2"):
        run_part(read, 3, execution)


def test_a_part_that_gets_nowhere_is_stopped(tmp_path: Path) -> None:
    made = launch(tmp_path)
    made.write()
    note = tmp_path / "launches" / made.id / "parts" / "1.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"starts": 4, "in_vain": 3, "reached": [0, 0]}))
    with pytest.raises(BuildError, match="brought nothing new"):
        run_part(made, 1, Execution(workers=0))


def test_what_cannot_be_done_after_a_divergence_is_not_submitted(tmp_path: Path) -> None:
    settings = {"lr": 1e30, "replicates": 1}
    [study] = studies(settings)
    skipped = build(study.targets, Store(tmp_path), study.sources, Execution(workers=0))
    assert skipped
    assert launch(tmp_path, settings).parts == ()


def test_a_launch_is_made_once(tmp_path: Path) -> None:
    made = launch(tmp_path)
    made.write()
    with pytest.raises(ValueError, match=f"has just made the launch {made.id}"):
        made.write()
    assert launch(tmp_path).id != made.id


@pytest.mark.parametrize("content", ["", "[1]", '{"parts": '])
def test_lost_numbers_of_jobs_are_named(tmp_path: Path, content: str) -> None:
    made = launch(tmp_path)
    made.write()
    (made.folder / "jobs.json").write_text(content)
    with pytest.raises(ValueError, match=r"jobs\.json is damaged: .* remove the folder"):
        status_of(made)


def test_a_launch_of_other_code_or_data_is_refused(tmp_path: Path) -> None:
    made = launch(tmp_path)
    document = json.loads(made.model_dump_json(by_alias=True))
    document["studies"][0]["id"] = "0" * 12
    with pytest.raises(ValueError, match="submit it again"):
        run_part(Launch(**document), 1, Execution(workers=0))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "other"}', b'{"format": "lth.launch/1"}', b"\xff"])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="manifest.json"):
        read_launch(path)


@pytest.mark.parametrize("name", ["slurm", "lsf"])
@pytest.mark.parametrize("kind", ["full", "plain"])
def test_scripts_are_those_of_the_files(tmp_path: Path, name: str, kind: str) -> None:
    """Read a changed script with a cluster user's eyes, then write it over the file."""
    profile = {"full": FULL, "full lsf": FULL.model_copy(update={"nodes": 1})}.get(
        f"{kind} lsf" if name == "lsf" else kind, Profile(command="lth")
    )
    changes = {"id": "find-ticket-1a2b3c-1", "profile": profile, "place": Path("/home/me/my study")}
    made = launch(tmp_path).model_copy(update=changes | {"running": Running(store=Path("/work/store"))})
    for file, text in scripts(made, SCHEDULERS[name]).items():
        path = OLD_FILES / f"{name}-{kind}-{file}"
        if os.environ.get("LTH_WRITE_SCRIPTS"):
            path.write_text(text)
        assert text == path.read_text()
        assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0


def test_lsf_knows_no_several_hosts(tmp_path: Path) -> None:
    made = launch(tmp_path, nodes=2)
    with pytest.raises(SchedulerError, match="nodes: 1"):
        scripts(made, SCHEDULERS["lsf"])


@pytest.fixture
def lsf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of commands that stand in for LSF's, and of what they were given."""
    folder = tmp_path / "lsf"
    put_lsf(folder)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_lsf_is_told_and_asked(lsf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scheduler = SCHEDULERS["lsf"]
    script = tmp_path / "parts.sh"
    script.write_text('#!/bin/bash\n#BSUB -J "a[1-3]"\n')
    number = scheduler.submit(script)
    end = tmp_path / "end.sh"
    end.write_text("#!/bin/bash\n")
    last = scheduler.submit(end, after=number)
    assert (number, last) == ("101", "102")
    assert (lsf / "102.job").read_text().startswith("-w ended(101)\n")
    assert {element: each.word for element, each in scheduler.states(number).items()} == {1: "RUN", 2: "PEND"}
    assert {element: each.word for element, each in scheduler.states(last).items()} == {0: "PEND"}
    scheduler.cancel(number)
    assert scheduler.states(number) == {}


def test_an_lsf_script_runs_its_part(tmp_path: Path) -> None:
    """What LSF would do: run the script with the index of an element; its ranks are processes of their own."""
    said, report = tmp_path / "said", tmp_path / "report.sh"
    report.write_text(f'#!/bin/bash\necho "$RANK of $WORLD_SIZE:" >>{said}\necho "$@"\n')
    report.chmod(0o755)
    profile = Profile(launch="lsf", command=f"{report}", ranks=2)
    made = launch(tmp_path / "store").model_copy(update={"profile": profile, "place": tmp_path})
    text = scripts(made, SCHEDULERS["lsf"])["parts.sh"]
    environment = os.environ | {"LSB_JOBINDEX": "2", "LSB_JOBID": "7"}
    done = subprocess.run(["bash"], input=text, text=True, env=environment, capture_output=True, check=True)
    assert done.stdout.count(f"run {made.manifest} --part 2") == 2
    assert sorted(said.read_text().split("\n")[:2]) == ["0 of 2:", "1 of 2:"]


def test_an_lsf_script_returns_the_code_that_requeues(tmp_path: Path) -> None:
    profile = Profile(launch="lsf", command="sh -c 'exit 75' x")
    made = launch(tmp_path / "store").model_copy(update={"profile": profile, "place": tmp_path})
    text = scripts(made, SCHEDULERS["lsf"])["parts.sh"]
    assert subprocess.run(["bash"], input=text, text=True, env=os.environ | {"LSB_JOBINDEX": "1"}).returncode == 75
    assert "#BSUB -Q 75" in text


def test_an_absent_scheduler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="bsub is not here"):
        SCHEDULERS["lsf"].submit(Path(__file__))
