"""`lth plan`: what `find-ticket` would do, and how long it should take."""

import json
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from lth.cli.options import study_command
from lth.config import Running

CALIBRATION_STEPS, CALIBRATION_SECONDS = 60, 0.2
"""A measurement takes at least so many steps, and so long, if the training has that many steps."""


@study_command
def plan(settings: list[dict[str, Any]], running: Running) -> int:
    """Show what find-ticket would do with the same arguments: what is done already, steps, time. Nothing is kept."""
    from lth.cli.studies import engines, execution, load_studies
    from lth.lineage import Store
    from lth.lineage import plan as make_plan

    studies, how = load_studies(settings, running), execution(running)
    store = Store(running.store)
    documents = []
    for study in studies:
        todo = make_plan(study.targets, store)
        by_engine = engines(((run.arm, run.trained) for run in study.runs), study.sources, how)
        seconds, source = dict[str, float](), "not estimated for a GPU"
        if how.device == "cpu":
            seconds, source = _seconds(study, todo, store, how)
        at_once, total = max(1, how.workers), sum(seconds.values())
        documents.append(
            {
                "study": study.id,
                "model": study.config.model,
                "data": study.config.data,
                "trainings": len(study.runs),
                "done": len(study.runs) - sum(work.finish for work in todo.works),
                "to_do": len(todo.works),
                "steps": todo.steps,
                "engines": by_engine,
                "steps_per_second_of_one": todo.steps / total if total else None,
                "speed_from": source,
                "at_once": at_once,
                "seconds": max(total / at_once, longest_chain(todo, seconds)) if total else None,
                "densities": list(study.densities),
                "arms": [*dict.fromkeys(run.arm for run in study.runs if run.level)],
                "levels": _levels(study),
                "mask_changes": _mask_changes(study),
                "replicates": study.config.replicates,
            }
        )
    if running.json_:
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=1))
    else:
        for document in documents:
            _print(document)
    return 0


def longest_chain(todo: Any, seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of trainings that wait for one another: no number of workers goes below it."""
    ends: dict[str, float] = {}
    for work in todo.works:  # each comes after those it needs
        ends[work.key] = seconds[work.key] + max((ends[key] for key in work.needs if key in ends), default=0.0)
    return max(ends.values(), default=0.0)


def _seconds(study: Any, todo: Any, store: Any, how: Any) -> tuple[dict[str, float], str]:
    """How long each training to do takes one worker on this machine, by its key, and how that is known.

    Speeds are those that the store records of this study's runs by the same engine, else measured now. That of the
    sparse engine follows the density; between the densities that are known it is read off a line.
    """
    import numpy as np

    densities = _density_by_key(study)
    choices = how.choices((work.trained for work in todo.works), study.sources)
    recorded, measured, seconds = 0, 0, {}
    for engine in sorted({choice.name for choice in choices.values()}):
        works = [work for work in todo.works if choices[work.key].name == engine]
        known = _recorded(study, store, densities, engine)
        recorded += sum(map(len, known.values()))
        wanted = {densities.get(work.key, 1.0) for work in works}
        if engine == "torch":  # whatever the density is, a step takes it as long
            known = {1.0: [each for some in known.values() for each in some]} if known else {}
            wanted = {1.0}
        for density in (min(wanted), max(wanted)):
            if not known or not min(known) <= density <= max(known):
                known[density], steps = _measure(study, works[0].trained.recipe, engine, density)
                measured += steps
        points = sorted((density, median(some)) for density, some in known.items())
        xs, ys = zip(*points, strict=True)
        for work in works:
            seconds[work.key] = work.steps * float(np.interp(densities.get(work.key, 1.0), xs, ys))
    sources = [f"the median of {recorded} finished trainings"] if recorded else []
    sources += [f"{measured:,} steps measured now"] if measured else []
    return seconds, " and ".join(sources) or "nothing is to be trained"


def _density_by_key(study: Any) -> dict[str, float]:
    """The density at which each run trains: one that prunes on its way counts as dense."""
    from lth.lineage import Dense, Whole

    return {
        run.trained.key: 1.0 if isinstance(run.trained.masks, Dense | Whole) else study.densities[run.level]
        for run in study.runs
    }


def _recorded(study: Any, store: Any, densities: dict[str, float], engine: str) -> dict[float, list[float]]:
    """Seconds a step of finished runs, alone in a process on a CPU with this engine, by density."""
    found: dict[float, list[float]] = {}
    for run in study.runs:
        if store.has(run.trained):
            provenance = store.manifest(run.trained.key)["provenance"]
            is_alike = (provenance["engine"], provenance["device"], provenance["population"]) == (engine, "cpu", 1)
            if is_alike and provenance["steps"] and provenance["seconds"]:
                each = found.setdefault(densities[run.trained.key], [])
                each.append(provenance["seconds"] / provenance["steps"])
    return found


def _measure(study: Any, recipe: Any, engine: str, density: float) -> tuple[list[float], int]:
    """Seconds a step of one network in one thread, evaluations included, from a short training that is thrown away;
    and how many steps that took."""
    import torch

    from lth.lineage.build import one_thread
    from lth.sparsity import combine
    from lth.training import Member, train

    trained = study.runs[0].trained
    split = study.sources.split(trained.data)
    start = {name: value.detach().clone() for name, value in study.sources.module(study.model).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    masks = {name: torch.rand(start[name].shape, generator=generator) < density for name in study.prunable}
    zeros = {name: torch.zeros_like(start[name]) for name in masks}
    member = Member("calibration", combine(masks, start, zeros), masks if density < 1 else {}, trained.seeds)
    rarely = recipe.model_copy(update={"evaluate_every": recipe.steps + 1})  # only at the start and at the end

    def seconds(until: int) -> float:
        began = time.monotonic()
        train([member], study.sources.module(study.model), split, rarely, until=until, engine=engine)
        return time.monotonic() - began

    with one_thread():
        seconds(1)  # warms up
        evaluation = seconds(0)
        steps = min(CALIBRATION_STEPS, recipe.steps)
        while (took := seconds(steps) - 2 * evaluation) < CALIBRATION_SECONDS and steps < recipe.steps:
            steps = min(4 * steps, recipe.steps)
    return [max(1e-9, took / steps) + evaluation / recipe.evaluate_every], steps


def _levels(study: Any) -> list[dict[str, Any]]:
    """What each level removes and leaves, counted over the prunable weights."""
    module = study.sources.module(study.model)
    total = sum(module.get_parameter(name).numel() for name in study.prunable)
    rows = []
    for level, (before, after) in enumerate(zip(study.densities, study.densities[1:], strict=False), 1):
        removed = round(total * before) - round(total * after)
        rows.append({"level": level, "density": after, "removed": removed, "kept": round(total * after)})
    return rows


def _mask_changes(study: Any) -> list[dict[str, Any]]:
    """What a sparsifier does at each level, step by step; empty without one."""
    from lth.training.sparsifiers import plan_sparsifier

    rows = []
    for run in study.runs:
        if run.arm == "sparsified" and run.replicate == 0:
            node = run.trained
            per_epoch = len(study.sources.split(node.data).y_train) // node.recipe.batch_size
            changes = plan_sparsifier(node.sparsifier, node.recipe.steps, steps_per_epoch=per_epoch)
            listed = [{"step": each.step, "sparsity": each.sparsity, "words": each.words} for each in changes]
            rows.append({"level": run.level, "changes": listed})
    return rows


def _print_levels(levels: list[dict[str, Any]]) -> None:
    print("  level   kept %        kept     removed")
    for row in levels:
        print(f"  {row['level']:>5}   {100 * row['density']:6.2f}  {row['kept']:>10,}  {row['removed']:>10,}")


def _print(document: dict[str, Any]) -> None:
    from lth.cli.studies import engine_lines

    print(f"Study {document['study']}: {document['model']} on {document['data']}")
    print(
        f"  {document['trainings']} trainings: {document['replicates']} replicates of dense and "
        f"{len(document['densities']) - 1} levels x {', '.join(document['arms'])}"
    )
    _print_levels(document["levels"])
    if document["mask_changes"]:
        first = document["mask_changes"][0]
        print(f"  masks within a training, level {first['level']} (further levels in --json):")
        for change in first["changes"]:
            print(f"    after step {change['step']:>7,}  {100 * (1 - change['sparsity']):6.2f} %  {change['words']}")
    print(f"  {document['done']} done, {document['to_do']} to do: {document['steps']:,} steps")
    for line in engine_lines(document["engines"]) if document["to_do"] else ():
        print(f"  {line}")
    if document["to_do"] and document["seconds"] is None:
        print(f"  how long: {document['speed_from']}")
    elif document["to_do"]:
        print(
            f"  about {in_words(document['seconds'])} with {document['at_once']} at once "
            f"({document['steps_per_second_of_one']:,.0f} steps/s each: {document['speed_from']})"
        )
    else:
        print("  nothing to train: find-ticket would write the report at once")


def in_words(seconds: float) -> str:
    """A rough duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
