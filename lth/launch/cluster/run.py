"""What an element of the array does, and what must be there before the last job ends the launch."""

import datetime
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lth.config import SettingsError
from lth.launch.cluster.launches import Launch, Wanted
from lth.launch.cluster.status import part_note
from lth.launch.conclude import jobs_of
from lth.launch.load import load_studies
from lth.launch.run import follow_study
from lth.launch.tracked import ObserverFactory, Tracked
from lth.lineage import BuildError, Execution, Job, Store, Unobserved, build, json_to_bytes, write_file
from lth.lineage.begun import steps_begun
from lth.lineage.plan import Work
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study
from lth.training import Interrupted

MOST_IN_VAIN = 3
"""Starts of a part, one after the other, that may bring nothing new."""


def load(launch: Launch, wanted: Sequence[Wanted]) -> list[Study]:
    """Return studies of a launch, with models and data loaded.

    Raises:
        ValueError: if code or data are no longer those of the launch.
    """
    studies = []
    for each in wanted:
        study_type = STUDIES.pick(each.kind)
        [study] = load_studies(study_type, [settings_of(study_type, each.settings)], launch.running.folder)
        if study.id != each.id:
            raise ValueError(
                f"study {each.id} is {study.id} here: model, data or lth changed since the launch {launch.id}; submit "
                "it again"
            )
        studies.append(study)
    return studies


def run_part(launch: Launch, number: int, execution: Execution, observer: ObserverFactory | None = None) -> None:
    """Do one part of a launch, as far as the store lacks it; nothing is concluded.

    Args:
        launch: what was submitted.
        number: of the part, from 1.
        execution: how jobs run.
        observer: makes what takes note.
    Raises:
        SettingsError: if there is no such part.
        ValueError: if code or data changed since.
        Interrupted: if asked to stop; snapshots are saved.
        BuildError, StoreError: if a job fails, or the part was started again and again and brought nothing new.
    """
    if not 1 <= number <= len(launch.parts):
        raise SettingsError(f"part {number}: the launch {launch.id} has parts 1 to {len(launch.parts)}")
    store = Store(launch.running.store)
    if execution.ranks.is_first:
        _note_start(launch, number, store)
    for study, jobs in _studies_of(launch, number):
        if not execution.ranks.is_first:
            if not follow_study(study, store, execution):
                raise Interrupted
            continue
        tracked, is_done = Tracked(study, store, execution.track), False
        make = tracked.observer(observer)
        try:
            with make(study) if make else nullcontext(Unobserved()) as attached:
                build(jobs, store, study.sources, execution, attached)
            is_done = True
        finally:
            tracked.close(None, is_interrupted=not is_done)


def _studies_of(launch: Launch, number: int) -> Iterator[tuple[Study, list[Job]]]:
    """Give the studies that a part is of, one after the other, with the part's jobs."""
    for index, keys in launch.parts[number - 1].keys.items():
        [study] = load(launch, [launch.studies[index]])
        jobs = {job.key: job for job in jobs_of(study)}
        if missing := set(keys) - jobs.keys():
            raise ValueError(
                f"study {study.id} has no job {min(missing)[:12]} here: lth changed since the launch {launch.id}; "
                "submit it again"
            )
        yield study, [jobs[key] for key in keys]


def _note_start(launch: Launch, number: int, store: Store) -> None:
    """Note that a part starts, and how far it is; stop one that is started again and again and gets nowhere."""
    before = part_note(launch, number)
    jobs = launch.parts[number - 1].jobs
    reached = [sum(store.folder(key).is_dir() for key in jobs), sum(steps_begun(jobs, store).values())]
    in_vain = before.get("in_vain", 0) + 1 if before.get("reached") == reached else 0
    note: dict[str, Any] = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "starts": before.get("starts", 0) + 1,
        "in_vain": in_vain,
        "reached": reached,
    }
    write_file(launch.note(number), json_to_bytes(note))
    if in_vain > MOST_IN_VAIN and reached[0] < len(jobs):
        raise BuildError(
            f"part {number} was started {in_vain} times again and brought nothing new: give it more time (profile: "
            "time, save_before), or look at its log; submit again to try anew"
        )


def parts_lacking(launch: Launch, works: Sequence[Work]) -> list[int]:
    """Return the parts that some works belong to."""
    keys = {work.key for work in works}
    return [number for number, part in enumerate(launch.parts, 1) if not keys.isdisjoint(part.jobs)]


def log_tail(path: Path, lines: int) -> str:
    """Return the last lines of a log; empty where there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
