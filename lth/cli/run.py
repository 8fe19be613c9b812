"""`lth run`: a study from a file, here or as jobs of a cluster."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.options import Flag, read_settings, read_yaml
from lth.cli.study import (
    batch_lines,
    engine_lines,
    execution_of,
    preset_names,
    reproduce,
    show_plan,
    start_lines,
    stopped,
)
from lth.cli.study import run as run_here
from lth.config import Running, as_settings_error, check_choice
from lth.config.profile import read_profile
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lth.launch.cluster import Launch
    from lth.launch.tracked import ObserverFactory
    from lth.lineage import Execution, Observer
    from lth.studies.prepare import Study

DOCTOR = "doctor"
REPRODUCE = ("scale", "replicates", "allow_partial", "model")
"""What a file may say of an experiment, besides where it runs."""


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
    workers: int | None = None,
    scale: float | None = None,
    replicates: int | None = None,
) -> int:
    """Run a study that a file describes, here or as jobs of a cluster. The same command again does what is missing.

        lth run study.yaml   # `study: find-ticket`, its settings, perhaps a sweep
        lth run study.yaml --launch slurm --profile gpu --dry-run   # scripts
        lth run study.yaml --launch slurm --profile gpu
        lth run lwh-table ./datasets --launch lsf --profile normal --scale 0.1
        lth run doctor --launch slurm --profile gpu   # is its GPU usable?

    Args:
        what: a YAML file with `study:` or `experiment:` and its settings; a published experiment by name; the manifest
            of a launch; or `doctor`, a job that examines a node and its GPUs.
        folder: folder of data files; missing ones are downloaded into it.
        launch: local (this process and its workers), slurm or lsf.
        profile: what the cluster is asked for, by name: from lth-profiles.yaml here or in ~/.config/lth, or FILE:NAME.
        dry_run: print the scripts; nothing is written or submitted. With local, show the plan.
        part: of a manifest, do this part alone (from 1).
        conclude: of a manifest, write results and report if all is there; train nothing.
        store: folder of results [default: what the file says, else lth-store].
        out: folder of the report; of several studies, of all reports.
        workers: one-thread worker processes here [default: one per core].
        scale: of an experiment, the share of the paper's training length.
        replicates: of an experiment, networks with seeds of their own.
    """
    given = {"folder": folder, "store": store, "out": out, "workers": workers}
    given = {name: value for name, value in given.items() if value is not None}
    path = Path(what)
    if path.suffix == ".json":
        from lth.launch.cluster import read_launch

        with settings_as_usage():
            manifest = read_launch(path)
        if conclude == (part is not None):
            raise UsageError(f"{what} is a manifest: --part N does a part, --conclude writes results and report")
        return _conclude(manifest) if part is None else _run_part(manifest, part)
    if part is not None or conclude:
        raise UsageError(f"--part and --conclude are of a manifest (manifest.json of a launch); found {what}")
    experiment = {"scale": scale, "replicates": replicates}
    if launch == "local":
        if what == DOCTOR:
            raise UsageError("`lth doctor` examines this machine; with --launch slurm or lsf a job examines a node")
        return _run_here(what, given, experiment, is_dry=dry_run)
    if what == DOCTOR:
        return _examine(launch, profile, is_dry=dry_run)
    with settings_as_usage():
        asked_of = read_profile(profile, launch)
        from lth.launch.cluster import SCHEDULERS, make_launch, scripts, submit

        scheduler = SCHEDULERS.pick(launch)
        asked = _asked(what, given, experiment)
    if not asked.studies:
        raise CommandError(f"{what}: nothing of it can be run here; `lth run {what} --dry-run` says why")
    made = make_launch(asked.studies, asked.running, asked_of, names=asked.names, experiment=asked.experiment)
    if not made.parts:
        print("All is done already: the same command without --launch writes results and report.")
        return 0
    if dry_run:
        for name, text in scripts(made, scheduler).items():
            print(f"### {made.folder / name}\n{text}")
        _print_parts(made)
        return 0
    jobs = submit(asked.studies, made, scheduler)
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
    name, arguments = _experiment_of(what, experiment)
    if name is not None:
        places = {each: given[each] for each in ("store", "out", "workers") if each in given}
        return reproduce(name, given.get("folder"), plan=is_dry, **arguments, **places)
    study, document = _study_of(what)
    settings, running = read_settings(study, None, document | given, prefix=f"{what}: ")
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
    name, arguments = _experiment_of(what, experiment)
    if name is None:
        from lth.launch import load_studies

        study, document = _study_of(what)
        settings, running = read_settings(study, None, document | given, prefix=f"{what}: ")
        studies = load_studies(study, settings, running.folder)
        return _Asked(studies, running, preset_names(study, settings))
    from lth.launch.reproduce import check_reproduction, left_out, load_experiments

    with as_settings_error():
        running = Running(**given)
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


def _experiment_of(what: str, given: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return which experiment is meant, and its arguments; None where it is a study."""
    given = {name: value for name, value in given.items() if value is not None}
    if what in EXPERIMENTS or what in EXPERIMENT_GROUPS:
        return what, given
    path = Path(what)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        with settings_as_usage():
            check_choice("experiment or file", what, [*EXPERIMENTS, *EXPERIMENT_GROUPS])
    document = read_yaml(path)
    if "experiment" not in document:
        if given:
            raise UsageError(f"--{next(iter(given))} is of experiments; {what} describes a study, and says it itself")
        return None, {}
    name = str(document.pop("experiment"))
    if unknown := document.keys() - set(REPRODUCE):
        raise UsageError(f"{path}: {', '.join(sorted(unknown))}: of an experiment a file says {', '.join(REPRODUCE)}")
    return name, document | given


def _study_of(what: str) -> tuple[Any, dict[str, Any]]:
    """Return the kind of study in a file, and the rest of the file."""
    document = read_yaml(Path(what))
    if "study" not in document:
        raise UsageError(f"{what} must say which study it is, as `study: find-ticket`; `lth --help` lists them")
    with settings_as_usage(), as_settings_error():
        return STUDIES.pick(str(document.pop("study"))), document


def _run_part(launch: "Launch", part: int) -> int:
    """Do a part of a launch; exit code 75 or 143 if it was told to stop."""
    from lth.launch.cluster import run_part
    from lth.training import Interrupted

    os.chdir(launch.place)
    with settings_as_usage():
        execution = execution_of(launch.running, over_ranks=True)
        is_one_of_several = execution.ranks.size > 1
        try:
            run_part(launch, part, execution, _observed(launch.running, execution))
        except Interrupted:
            return stopped(launch.running.store, is_one_of_several=is_one_of_several)
    if execution.ranks.is_first:
        print(f"Part {part} of {launch.id} is done.")
    return 0


def _observed(running: Running, execution: "Execution") -> "ObserverFactory":
    """Return what makes the progress of a part: lines in its log, first how each study is trained."""
    from lth.launch.progress import make_progress
    from lth.lineage import Store

    store = Store(running.store)

    def observer(study: "Study") -> "AbstractContextManager[Observer]":
        lines = [*start_lines(study), *engine_lines(study, execution, store), *batch_lines(study, execution)]
        return make_progress(is_quiet=running.quiet, notes=lines)(study)

    return observer


def _conclude(launch: "Launch") -> int:
    """Write results and report of a launch, if nothing is missing."""
    from lth.launch.cluster.run import lacking, load, parts_lacking
    from lth.lineage import Store

    os.chdir(launch.place)
    with settings_as_usage():
        studies = load(launch, launch.studies)
        if missing := lacking(studies, Store(launch.running.store)):
            parts = ", ".join(map(str, parts_lacking(launch, missing))) or "none of its parts"
            raise CommandError(
                f"{len(missing)} jobs of {launch.id} are missing, of part {parts} (`lth logs {launch.id} --part N`): "
                "submit the study again, which does what is missing"
            )
        running = launch.running.model_copy(update={"device": "cpu", "compiled": False, "shard": False})
        if launch.experiment is not None:
            arguments = dict(launch.experiment)
            name = arguments.pop("name")
            return reproduce(name, running.folder, store=running.store, out=running.out, quiet=True, **arguments)
        [study] = {each.kind for each in launch.studies}
        return run_here(STUDIES.pick(study), [each.settings for each in studies], running)
