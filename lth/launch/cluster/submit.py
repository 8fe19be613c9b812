"""From studies to jobs of a cluster: parts, manifest, scripts; then they are submitted."""

import datetime
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.analysis.labels import Labels
from lth.config import Running
from lth.config.profile import Profile
from lth.launch.cluster.launches import JOBS, Launch, Wanted, launches
from lth.launch.cluster.parts import lacking, parts_of
from lth.launch.cluster.scheduler import ClusterJob, Scheduler, SchedulerError
from lth.launch.cluster.table import SCHEDULERS
from lth.launch.conclude import jobs_of
from lth.launch.notes import register
from lth.lineage import Store, json_to_bytes, write_file
from lth.studies.prepare import Study
from lth.tracking import TRACKERS

PARTS, END = "parts.sh", "end.sh"
"""Names of a launch's scripts."""


def make_launch(
    studies: Sequence[Study],
    running: Running,
    profile: Profile,
    *,
    names: Sequence[str] = (),
    experiment: Mapping[str, Any] | None = None,
) -> Launch:
    """Return the launch of some studies; nothing is written.

    Args:
        studies: what is asked for.
        running: where results are and how jobs run.
        profile: what the cluster is asked for.
        names: of the studies, where they are presets or experiments.
        experiment: arguments of `lth reproduce`, where they are experiments.
    Raises:
        SettingsError: if a tracker is unknown.
    """
    assert profile.launch is not None
    for name in running.track:
        TRACKERS.pick(name.partition(":")[0])
    limit = SCHEDULERS.pick(profile.launch).most_parts()
    most = profile.most_parts if limit is None else min(limit, profile.most_parts)
    store = running.store.expanduser().absolute()
    held_by: dict[str, int] = {}
    for number, study in enumerate(studies):
        for job in jobs_of(study):
            held_by.setdefault(job.key, number)
    return Launch(
        id=_name(studies, store, experiment, running.name),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        place=Path.cwd(),
        studies=tuple(Wanted(kind=each.type.name, id=each.id, settings=each.settings.flat()) for each in studies),
        experiment=None if experiment is None else dict(experiment),
        names=tuple(names),
        running=_there(running, store, profile),
        profile=profile,
        parts=tuple(parts_of(lacking(studies, Store(store)), held_by, most)),
    )


def _name(studies: Sequence[Study], store: Path, experiment: Mapping[str, Any] | None, name: str | None) -> str:
    """Return a name that no launch of the store has: the given one, experiment, or kind and part of an ID; a number."""
    first = name or (str(experiment["name"]) if experiment else f"{studies[0].type.name}-{studies[0].id[:6]}")
    taken = {path.name for path in store.glob("launches/*")}
    return next(name for number in range(1, len(taken) + 2) if (name := f"{first}-{number}") not in taken)


def _there(running: Running, store: Path, profile: Profile) -> Running:
    """Return how jobs run on a node: by whole paths, on what the profile asks for."""
    given = running.model_fields_set
    changes: dict[str, Any] = {"store": store}
    changes |= {name: value.absolute() for name in ("folder", "out") if (value := getattr(running, name)) is not None}
    if profile.gpus and "device" not in given:
        changes["device"] = "cuda"
    if not profile.gpus and running.workers is None and not running.compiled:
        changes["workers"] = profile.cpus
    return running.model_copy(update=changes)


def scripts(launch: Launch, scheduler: Scheduler) -> dict[str, str]:
    """Return the scripts of a launch, by file name: the array of parts, and the job after it that writes results."""
    manifest, name = shlex.quote(str(launch.manifest)), f"lth-{launch.id}"
    part, size = f'run {manifest} --part "{scheduler.index}"', len(launch.parts)
    parts = ClusterJob(name, launch.log(scheduler.element), part, elements=size)
    end = ClusterJob(f"{name}-end", launch.log(None), f"run {manifest} --conclude", is_end=True)
    return {file: scheduler.script(launch.profile, launch.place, job) for file, job in ((PARTS, parts), (END, end))}


def check_script(profile: Profile, scheduler: Scheduler) -> str:
    """Return the script of a job that examines the machine that a profile gives: GPUs, where it asks for some."""
    device = " --device cuda" if profile.gpus else ""
    log = Path.cwd() / f"lth-doctor-{scheduler.job}.log"
    return scheduler.script(profile, Path.cwd(), ClusterJob("lth-doctor", log, f"doctor{device}"))


def submit(
    studies: Sequence[Study], launch: Launch, scheduler: Scheduler, labels: Sequence[Labels] = ()
) -> dict[str, str]:
    """Write a launch and submit its jobs; return their numbers by `parts` and `end`.

    Args:
        studies: what is asked for.
        launch: as `make_launch` returns it.
        scheduler: of the cluster.
        labels: what each study is called.
    Raises:
        SchedulerError: if the scheduler refuses, or a launch that does the same is not over.
    """
    _refuse_twice(launch)
    texts, store = scripts(launch, scheduler), Store(launch.running.store)
    store.check_writable()
    launch.write()
    for name, text in texts.items():
        write_file(launch.folder / name, text.encode())
    for study, called in zip(studies, labels or [Labels()] * len(studies), strict=True):
        register(study, store, called)
    jobs = {"parts": scheduler.submit(launch.folder / PARTS)}
    try:
        jobs["end"] = scheduler.submit(launch.folder / END, after=jobs["parts"])
    except SchedulerError:
        scheduler.cancel(jobs["parts"])
        raise
    write_file(launch.folder / JOBS, json_to_bytes(jobs))
    return jobs


def _refuse_twice(launch: Launch) -> None:
    ids = {each.id for each in launch.studies}
    for other in launches(launch.running.store):
        if not ids.isdisjoint(each.id for each in other.studies) and not is_over(other):
            raise SchedulerError(
                f"launch {other.id} of the same study is not over (`lth status {other.id}`): wait, or take it back "
                f"with `lth cancel {other.id}`; what is done is kept"
            )


def is_over(launch: Launch) -> bool:
    """Return whether the cluster has no jobs of a launch, any more or yet.

    Raises:
        SchedulerError: if it cannot be asked.
    """
    if not launch.jobs:
        return True
    assert launch.profile.launch is not None
    scheduler = SCHEDULERS.pick(launch.profile.launch)
    return not any(scheduler.states(number) for number in launch.jobs.values())
