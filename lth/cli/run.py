"""`lth run`: a study from a file, here or as jobs of a cluster."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.options import Flag, Several, read_settings, read_yaml
from lth.cli.part import conclude_launch, run_part
from lth.cli.study import (
    preset_names,
    reproduce,
    show_plan,
)
from lth.cli.study import run as run_here
from lth.cli.typed import labels_of
from lth.config import Running, SettingsError, as_settings_error, check_choice
from lth.config.known import KnownFields
from lth.config.labels import Name, Tags
from lth.config.profile import read_profile
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES

if TYPE_CHECKING:
    from lth.launch.cluster import Launch
    from lth.studies.prepare import Study

DOCTOR = "doctor"


class _Experiment(KnownFields):
    """What a file may say of an experiment, besides which it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float | None = None
    replicates: int | None = None
    allow_partial: bool | None = None
    model: str | None = None
    name: Name | None = None
    tag: Tags | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: studies that are ready, where they run, and what `lth reproduce` is to end."""

    studies: "Sequence[Study]"
    running: Running
    names: Sequence[str]
    experiment: dict[str, Any] | None = None


def run(
    what: str,
    folder: Path | None = None,
    /,
    *,
    launch: str = "local",
    profile: str | None = None,
    dry_run: Flag = False,
    part: int | None = None,
    conclude: Flag = False,
    store: Path | None = None,
    out: Path | None = None,
    name: str | None = None,
    tag: Several = None,
    workers: int | None = None,
    scale: float | None = None,
    replicates: int | None = None,
) -> int:
    """Run a study that a file describes, here or as jobs of a cluster. The same command again does what is missing.

        lth run study.yaml   # `run: find-ticket`, its settings, perhaps a sweep
        lth run study.yaml --launch slurm --profile gpu --dry-run   # scripts
        lth run study.yaml --launch slurm --profile gpu
        lth run lwh-table ./datasets --launch lsf --profile normal --scale 0.1
        lth run doctor --launch slurm --profile gpu   # is its GPU usable?

    Args:
        what: a YAML file with `run:` (a study or experiment) and its settings; a published experiment by name; the
            manifest of a launch; or `doctor`, a job that examines a node and its GPUs.
        folder: folder of data files; missing ones are downloaded into it.
        launch: local (this process and its workers), slurm or lsf.
        profile: what the cluster is asked for, by name: from lth-profiles.yaml here or in ~/.config/lth, or FILE:NAME.
        dry_run: print the scripts; nothing is written or submitted. With local, show the plan.
        part: of a manifest, do this part alone (from 1).
        conclude: of a manifest, write results and report if all is there; train nothing.
        store: folder of results [default: what the file says, else lth-store].
        out: folder of the report; of several studies, of all reports.
        name: what the study is called in the store; of several NAME-1, NAME-2, and so on.
        tag: a word that `lth ls --tag` finds it by; several with commas, or the option several times.
        workers: one-thread worker processes here [default: one per core].
        scale: of an experiment, the share of the paper's training length.
        replicates: of an experiment, networks with seeds of their own.
    """
    given = {"folder": folder, "store": store, "out": out, "name": name, "tag": tag, "workers": workers}
    given = {name: value for name, value in given.items() if value is not None}
    experiment = {"scale": scale, "replicates": replicates}
    experiment = {name: value for name, value in experiment.items() if value is not None}
    if Path(what).suffix == ".json":
        if given or experiment or profile or dry_run or launch != "local" or conclude == (part is not None):
            raise UsageError(f"{what} is a manifest: --part N alone does a part, --conclude writes results and report")
        return _of_manifest(Path(what), part)
    if part is not None or conclude:
        raise UsageError(f"--part and --conclude are of a manifest (manifest.json of a launch); found {what}")
    if launch == "local":
        if what == DOCTOR:
            raise UsageError("`lth doctor` examines this machine; with --launch slurm or lsf a job examines a node")
        if profile is not None:
            raise UsageError("--profile is of a cluster: give --launch slurm or lsf with it")
        return _run_here(what, given, experiment, is_dry=dry_run)
    if what == DOCTOR:
        return _examine(launch, profile, is_dry=dry_run)
    return _launch(what, given, experiment, launch, profile, is_dry=dry_run)


def _launch(
    what: str, given: dict[str, Any], experiment: dict[str, Any], launch: str, profile: str | None, *, is_dry: bool
) -> int:
    """Submit it to a cluster, or print the scripts."""
    with settings_as_usage():
        asked_of = read_profile(profile, launch)
        from lth.launch.cluster import SCHEDULERS, make_launch, scripts, submit
        from lth.launch.labels import check_names
        from lth.lineage import Store

        scheduler = SCHEDULERS.pick(launch)
        asked = _asked(what, given, experiment)
    if not asked.studies:
        raise CommandError(f"{what}: nothing of it can be run here; `lth run {what} --dry-run` says why")
    with settings_as_usage():
        made = make_launch(asked.studies, asked.running, asked_of, names=asked.names, experiment=asked.experiment)
        labels = labels_of(asked.running, len(asked.studies))
        check_names(asked.studies, labels, Store(asked.running.store))
    if not made.parts:
        print("All is done already: the same command without --launch writes results and report.")
        return 0
    if is_dry:
        for name, text in scripts(made, scheduler).items():
            print(f"### {made.folder / name}\n{text}")
        _print_parts(made)
        return 0
    jobs = submit(asked.studies, made, scheduler, labels)
    print(f"Launch     {made.id}: {len(made.parts)} parts (job {jobs['parts']}), then results (job {jobs['end']})")
    _print_parts(made)
    elsewhere = "" if made.running.store == Running().store.absolute() else f" --store {made.running.store}"
    print(f"Status     lth status {made.id}{elsewhere}")
    return 0


def _examine(launch: str, profile: str | None, *, is_dry: bool) -> int:
    """Submit a job that runs `lth doctor` on what a profile gives."""
    from lth.launch.cluster import SCHEDULERS, check_script

    with settings_as_usage():
        scheduler = SCHEDULERS.pick(launch)
        script = check_script(read_profile(profile, launch), scheduler)
    if is_dry:
        print(script)
        return 0
    path = Path("lth-doctor.sh")
    path.write_text(script)
    number = scheduler.submit(path)
    print(f"Job        {number}; it writes lth-doctor-{number}.log here")
    return 0


def _print_parts(launch: "Launch") -> None:
    jobs, steps = [len(part.jobs) for part in launch.parts], [part.steps for part in launch.parts]
    each = f"{min(jobs)} to {max(jobs)} jobs, {min(steps):,} to {max(steps):,} steps"
    print(f"Parts      {len(jobs)} of {each}; {sum(jobs)} jobs, {sum(steps):,} steps in all")


def _run_here(what: str, given: dict[str, Any], experiment: dict[str, Any], *, is_dry: bool) -> int:
    """Run or plan it in this process."""
    name, arguments = _read(what, experiment)
    if name is not None:
        arguments |= {each: given[each] for each in ("store", "out", "name", "tag", "workers") if each in given}
        return reproduce(name, given.get("folder"), plan=is_dry, **arguments)
    study = STUDIES[arguments.pop("run")]
    settings, running = read_settings(study, None, arguments | given, prefix=f"{what}: ")
    if not is_dry:
        with settings_as_usage():
            return run_here(study, settings, running)
    from lth.launch import load_studies

    with settings_as_usage():
        studies = load_studies(study, settings, running.folder)
    show_plan(studies, preset_names(study, settings) or [each.id for each in studies], running)
    return 0


def _asked(what: str, given: dict[str, Any], experiment: dict[str, Any]) -> _Asked:
    """Return the studies that are asked for, with models and data loaded."""
    name, arguments = _read(what, experiment)
    if name is None:
        from lth.launch import load_studies

        study = STUDIES[arguments.pop("run")]
        settings, running = read_settings(study, None, arguments | given, prefix=f"{what}: ")
        studies = load_studies(study, settings, running.folder)
        return _Asked(studies, running, preset_names(study, settings))
    from lth.launch.reproduce import check_reproduction, left_out, load_experiments

    with as_settings_error():
        labels = {each: arguments.pop(each) for each in ("name", "tag") if each in arguments}
        running = Running(**labels | given)
    scale, model = arguments.get("scale", 1.0), arguments.get("model")
    is_partial = bool(arguments.get("allow_partial"))
    chosen = check_reproduction(name, scale, model, is_measured=False)
    missing = left_out({each: EXPERIMENTS[each] for each in chosen}, running.folder, model, is_partial=is_partial)
    for each, reason in missing.items():
        print(f"lth: {each}: {reason}", file=sys.stderr)
    ready = [each for each in chosen if each not in missing]
    studies = load_experiments(
        [EXPERIMENTS[each] for each in ready],
        scale,
        arguments.get("replicates"),
        running.folder,
        model,
        is_partial=is_partial,
    )
    return _Asked(studies, running, ready, {"name": name, **arguments})


def _read(what: str, given: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return which experiment is meant, or None for a study; and its arguments, or the settings of the study.

    The kind of a study stands under `run` in them.
    """
    if what in EXPERIMENTS or what in EXPERIMENT_GROUPS:
        return what, given
    path = Path(what)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        with settings_as_usage():
            check_choice("experiment or file", what, [*EXPERIMENTS, *EXPERIMENT_GROUPS])
    document = read_yaml(path)
    if "run" not in document:
        raise UsageError(f"{path} must say what to run, as `run: find-ticket`, a study or an experiment")
    name = str(document["run"])
    with settings_as_usage():
        check_choice("study or experiment", name, [*STUDIES, *EXPERIMENTS, *EXPERIMENT_GROUPS])
    if name in STUDIES:
        if given:
            raise UsageError(f"--{next(iter(given))} is of experiments; {path} is of a study, and says it itself")
        return None, document
    del document["run"]
    try:
        with as_settings_error():
            said = _Experiment(**(document | given))
    except SettingsError as error:
        raise UsageError(f"{path}: {error}") from error
    return name, said.model_dump(exclude_none=True)


def _of_manifest(path: Path, part: int | None) -> int:
    """Do a part of a launch, or end it."""
    from lth.launch.cluster import read_launch

    with settings_as_usage():
        launch = read_launch(path)
    return conclude_launch(launch) if part is None else run_part(launch, part)
