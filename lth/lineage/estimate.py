"""How long a plan takes: from what the store records of finished trainings, else from a few measured steps."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from lth.lineage.build import Execution
from lth.lineage.executors import one_thread
from lth.lineage.kinds import Trained
from lth.lineage.nodes import Job
from lth.lineage.plan import Plan, Work
from lth.lineage.reader import Reader
from lth.sparsity import combine, prunable
from lth.training import Member, NoJournal, Where, train
from lth.training.engines.choose import YOURS

CALIBRATION_STEPS, CALIBRATION_SECONDS = 60, 0.2
"""A measurement takes at least so many steps, and so long, if the training has that many steps."""

OVERHEAD_STEPS = 150.0
"""Steps that fit into the time around a training: deriving its start and masks, writing its result."""

ITEM_SECONDS = 0.05
"""Seconds of a step of a job that is no training: one network measured."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a plan takes.

    Attributes:
        seconds: of each work, by key, in one worker on this machine; empty where they cannot be known.
        source: how that is known.
    """

    seconds: Mapping[str, float]
    source: str

    def total(self, todo: Plan, at_once: int) -> float:
        """Return the seconds of all works with so many at once: no number goes below the longest chain."""
        return max(sum(self.seconds.values()) / max(1, at_once), longest_chain(todo, self.seconds))


def relative_cost(work: Work, engine: str = "sparse") -> tuple[float, float]:
    """Return what a work costs beside its steps, and for each step, in steps of a dense network."""
    density = work.job.density
    return (0.0, 10.0) if density is None else cost_at(density, engine)


def cost_at(density: float, engine: str) -> tuple[float, float]:
    """Return what a training costs beside its steps, and for each step, in steps of a dense network.

    That of the sparse engine falls with the density: measured on LeNet-300-100, a step at 17 / 5.6 / 1.2 % takes 0.59 /
    0.32 / 0.17 of a dense one; with other engines a step takes as long at any density. Progress needs no
    better.
    """
    return OVERHEAD_STEPS, 0.15 + 0.85 * min(1.0, density / 0.35) if engine == "sparse" else 1.0


def longest_chain(todo: Plan, seconds: Mapping[str, float]) -> float:
    """Return the seconds of the longest chain of works that wait for one another."""
    ends: dict[str, float] = {}
    for work in todo.works:  # each comes after those it needs
        ends[work.key] = seconds[work.key] + max((ends[key] for key in work.needs if key in ends), default=0.0)
    return max(ends.values(), default=0.0)


def estimate(todo: Plan, done: Plan, reader: Reader, execution: Execution) -> Estimate:
    """Return how long each work takes one worker on this machine.

    Speeds are those that the store records of finished trainings by the same engine, else measured now. That of the
    sparse engine follows the density; between the densities that are known it is read off a line.

    Args:
        todo: what is to be done.
        done: a plan whose finished jobs are looked at.
        reader: the store and the live objects.
        execution: how jobs run.
    """
    choices = execution.choices((work.job for work in todo.works), reader.sources)
    recorded, measured = 0, 0
    seconds = {work.key: work.steps * ITEM_SECONDS for work in todo.works if work.key not in choices}
    for engine in sorted({choice.name for choice in choices.values()}):
        works = [work for work in todo.works if work.key in choices and choices[work.key].name == engine]
        densities = {work.key: work.job.density or 1.0 for work in works}
        known = _recorded(done, reader, engine)
        recorded += sum(map(len, known.values()))
        wanted = set(densities.values())
        if engine == YOURS and not known:
            return Estimate({}, "unknown until a training by your function is finished")
        if engine in ("torch", YOURS):  # whatever the density is, a step takes it as long
            known = {1.0: [each for some in known.values() for each in some]} if known else {}
            wanted = {1.0}
        for density in (min(wanted), max(wanted)):
            if not known or not min(known) <= density <= max(known):
                known[density], steps = _measure(works[0].job, reader, engine, density)
                measured += steps
        points = sorted((density, median(some)) for density, some in known.items())
        xs, ys = zip(*points, strict=True)
        for work in works:
            seconds[work.key] = work.steps * float(np.interp(densities[work.key], xs, ys))
    sources = [f"the median of {recorded} finished trainings"] if recorded else []
    sources += [f"{measured:,} steps measured now"] if measured else []
    return Estimate(seconds, " and ".join(sources) or "nothing is to be trained")


def _recorded(done: Plan, reader: Reader, engine: str) -> dict[float, list[float]]:
    """Return the seconds of a step of finished trainings, alone in a process on a CPU with this engine, by density."""
    known: dict[float, list[float]] = {}
    for job in done.done:
        if job.density is not None:
            provenance = reader.store.manifest(job.key)["provenance"]
            is_alike = (provenance["engine"], provenance["device"], provenance["population"]) == (engine, "cpu", 1)
            if is_alike and provenance["steps"] and provenance["seconds"]:
                known.setdefault(job.density, []).append(provenance["seconds"] / provenance["steps"])
    return known


def _measure(job: Job, reader: Reader, engine: str, density: float) -> tuple[list[float], int]:
    """Return the seconds of a step of one network in one thread, evaluations included, and how many steps that took.

    They come from a short training under random masks that is thrown away.
    """
    assert isinstance(job, Trained)  # no other job trains
    module, training = reader.module(job.model), job.training
    start = {name: value.detach().clone() for name, value in module.state_dict().items()}
    generator, is_masked = torch.Generator().manual_seed(0), density < 1 or training.sparsifier is not None
    names = prunable(module) if is_masked else ()
    masks = {name: torch.rand(start[name].shape, generator=generator) < density for name in names}
    zeros = {name: torch.zeros_like(start[name]) for name in masks}
    member = Member("calibration", combine(masks, start, zeros), masks, job.seeds)
    rarely = training.with_(evaluate_every=training.steps + 1)  # only at the start and at the end
    first = training.first_step

    def seconds(count: int) -> float:
        began = time.monotonic()
        where, journal = Where(engine=engine), NoJournal(until=first + count)
        train([member], rarely, reader.parts(job.data), module=reader.module(job.model), where=where, journal=journal)
        return time.monotonic() - began

    with one_thread():
        seconds(1)  # warms up
        evaluation = seconds(0)
        steps = min(CALIBRATION_STEPS, job.steps)
        while (took := seconds(steps) - 2 * evaluation) < CALIBRATION_SECONDS and steps < job.steps:
            steps = min(4 * steps, job.steps)
    return [max(1e-9, took / steps) + evaluation / training.evaluate_every], steps
