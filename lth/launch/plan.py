"""What a study would do, and how long it should take."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from lth.analysis.documents import At
from lth.analysis.numbers import duration
from lth.config.text import last_part
from lth.launch.words import begun_in_words
from lth.lineage import Execution, Job, Reader, Store, Trained, derivation, plan
from lth.lineage.estimate import estimate
from lth.studies.prepare import Study

MOST_COLUMNS = 6
"""Trainings of one arm whose mask changes are printed side by side."""


class EngineRow(TypedDict):
    """Which engine trains which arms, and why."""

    engine: str
    reason: str
    arms: list[str]


class PlannedChange(TypedDict):
    """A mask change within a training."""

    step: int
    density: float
    words: str


class MaskChangesRow(TypedDict):
    """What a sparsifier does in the training of one place."""

    arm: str
    at: At
    changes: list[PlannedChange]


class PlanDocument(TypedDict):
    """What a study would do."""

    study: str
    type: str
    model: str
    data: str
    head_match: list[str]  # how it and pre-trained weights fit
    replicates: int
    prunable: int
    parameters: int
    jobs: int
    done: int
    to_do: int
    begun: dict[str, int]
    steps: int
    engines: list[EngineRow]
    at_once: int
    seconds: float | None
    speed_from: str
    arms: list[str]
    axis: str
    places: list[At]
    mask_changes: list[MaskChangesRow]
    shared: NotRequired[int]  # of its jobs, those that another of several planned studies needs too


def plan_document(prepared: Study, store: Store, execution: Execution) -> PlanDocument:
    """Return what a study would do, as JSON values: what is done, steps, engines, time, places, mask changes."""
    todo = plan(prepared.targets, store)
    seconds, source, at_once = None, "not estimated for a GPU", max(1, execution.workers)
    if execution.device == "cpu":
        expected = estimate(todo, todo, Reader(store, prepared.sources), execution)
        seconds, source = (expected.total(todo, at_once) if expected.seconds else None), expected.source
    jobs = {job.key for job in (*todo.done, *(work.job for work in todo.works))}
    module, names = prepared.subject.module, _prunable(prepared)
    return {
        "study": prepared.id,
        "type": prepared.type.name,
        "model": last_part(prepared.settings.model),
        "data": prepared.settings.data,
        "head_match": list(prepared.subject.head_words),
        "replicates": prepared.settings.replicates,
        "prunable": sum(module.get_parameter(name).numel() for name in names),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "jobs": len(jobs),
        "done": len(jobs) - sum(work.finish for work in todo.works),
        "to_do": len(todo.works),
        "begun": dict(todo.begun),
        "steps": todo.steps,
        "engines": engines_of(prepared, execution),
        "at_once": at_once,
        "seconds": seconds,
        "speed_from": source,
        "arms": list(dict.fromkeys(point.arm for point in prepared.points)),
        "axis": prepared.type.axis,
        "places": _places(prepared),
        "mask_changes": _mask_changes(prepared),
    }


def plan_documents(studies: Sequence[Study], store: Store, execution: Execution) -> list[PlanDocument]:
    """Return the plan of each study; of several it says how many jobs each has in common with others."""
    documents = [plan_document(prepared, store, execution) for prepared in studies]
    if len(studies) > 1:
        needed = [_jobs(prepared) for prepared in studies]
        times = Counter(key for keys in needed for key in keys)
        for document, keys in zip(documents, needed, strict=True):
            document["shared"] = sum(times[key] > 1 for key in keys)
    return documents


def print_together(studies: Sequence[Study], documents: Sequence[PlanDocument], names: Sequence[str]) -> None:
    """Print what several studies need together, and what they have in common by key: that is done once."""
    keys = {key: job for prepared in studies for key, job in _jobs(prepared).items()}
    width = max(len(name) for name in names)
    print(f"Together {len(keys)} jobs, {sum(job.steps for job in keys.values()):,} steps; in common, done once:")
    for name, prepared, document in zip(names, studies, documents, strict=True):
        mine, others = _jobs(prepared), []
        for other_name, other in zip(names, studies, strict=True):
            if other is not prepared and (common := len(mine.keys() & _jobs(other).keys())):
                others.append(f"{common} with {other_name}")
        jobs = f"{document['jobs']} jobs, {document.get('shared', 0)} in common"
        print(f"  {name:{width}}  {jobs}{': ' if others else ''}{', '.join(others)}")


def _jobs(prepared: Study) -> dict[str, Job]:
    """Return the jobs of a study by key, those that its points stand on among them."""
    return {key: node for key, node in derivation(*prepared.targets).items() if isinstance(node, Job)}


def engines_of(prepared: Study, execution: Execution) -> list[EngineRow]:
    """Return which engine trains what, and why: as `engine`, `reason` and the `arms` that it trains.

    Raises:
        ValueError: if the engine that was asked for cannot train one of them.
    """
    arms = {point.job.key: point.arm for point in prepared.points}
    jobs = [job for job in derivation(*prepared.targets).values() if isinstance(job, Trained)]
    rows: dict[Any, list[str]] = {}
    for key, choice in execution.choices(jobs, prepared.sources).items():
        names = rows.setdefault(choice, [])
        if (arm := arms.get(key, "what others stand on")) not in names:
            names.append(arm)
    return [{"engine": choice.name, "reason": choice.reason, "arms": names} for choice, names in rows.items()]


def _prunable(prepared: Study) -> list[str]:
    """Return the names of the parameters that are pruned; none where nothing is."""
    masks = getattr(prepared.settings, "masks", None)
    return [] if masks is None else prepared.subject.prunable(masks)


def _places(prepared: Study) -> list[At]:
    """Return each place of the study's axis, with its density and how many weights that is."""
    total = sum(prepared.subject.module.get_parameter(name).numel() for name in _prunable(prepared))
    rows: dict[float | str | None, At] = {}
    for point in prepared.points:
        at = {name: value for name, value in point.at.items() if name in (prepared.type.axis, "density")}
        row = rows.setdefault(at.get(prepared.type.axis), dict(at))
        if total and "density" in at:
            row["kept"] = round(total * float(at["density"]))
    return list(rows.values())


def _mask_changes(prepared: Study) -> list[MaskChangesRow]:
    """Return what a sparsifier does at each level, step by step; empty without one."""
    from lth.training import plan_sparsifier

    rows: list[MaskChangesRow] = []
    for point in prepared.points:
        job = point.job
        if point.replicate == 0 and isinstance(job, Trained) and job.training.sparsifier is not None:
            per_epoch = prepared.subject.clock.steps_per_epoch
            changes = plan_sparsifier(job.training.sparsifier, job.training.steps, steps_per_epoch=per_epoch)
            listed = [PlannedChange(step=each.step, density=each.density, words=each.words) for each in changes]
            rows.append({"arm": point.arm, "at": dict(point.at), "changes": listed})
    return rows


def _print_mask_changes(rows: list[MaskChangesRow]) -> None:
    """Print when masks change and what they keep, or prune where places are targets: a column for each training."""
    for arm in dict.fromkeys(row["arm"] for row in rows):
        first, *others = (row for row in rows if row["arm"] == arm)
        steps = [change["step"] for change in first["changes"]]
        alike = [first, *(row for row in others if [change["step"] for change in row["changes"]] == steps)]
        columns, is_pruned = alike[:MOST_COLUMNS], "target" in first["at"]
        more = " (more in --json)" if len(columns) <= len(others) else ""
        places = ", ".join(_place_words(row["at"]) for row in columns)
        print(f"  weights that {arm} has {'pruned' if is_pruned else 'kept'} at {places}{more}:")
        for number, change in enumerate(first["changes"]):
            densities = [row["changes"][number]["density"] for row in columns]
            shares = "".join(f"{100 * (1 - each if is_pruned else each):6.2f} %  " for each in densities)
            print(f"    after step {change['step']:>7,}  {shares}{change['words']}")


def _place_words(at: At) -> str:
    shown = {name: value for name, value in at.items() if name != "density"} or at
    return ", ".join(f"{name} {value:g}" if isinstance(value, float | int) else value for name, value in shown.items())


def print_plan(document: PlanDocument) -> None:
    """Print a plan for people."""
    print(f"Study {document['study']}, {document['type']}: {document['model']} on {document['data']}")
    print(f"  {document['jobs']} jobs: {document['replicates']} replicates of {', '.join(document['arms'])}")
    for line in document["head_match"]:
        print(f"  start: {line}")
    if document["prunable"]:
        rest = 1 - document["prunable"] / document["parameters"]
        others = f"; shares are of these, {100 * rest:.2g} % is never pruned" if rest else ""
        print(f"  prunable: {document['prunable']:,} of {document['parameters']:,} parameters{others}")
    for row in document["places"]:
        cells = [
            f"{name.replace('_', ' ')} {value:g}" for name, value in row.items() if name not in ("density", "kept")
        ]
        cells += [f"{100 * float(row['density']):6.2f} % kept"] if "density" in row else []
        cells += [f"{row['kept']:>10,} weights"] if "kept" in row else []
        if cells:
            print(f"    {'   '.join(cells)}")
    _print_mask_changes(document["mask_changes"])
    begun = begun_in_words(document["begun"].values())
    to_do = f"{document['to_do']} to do" + (f" ({begun})" if begun else "")
    print(f"  {document['done']} done, {to_do}: {document['steps']:,} steps")
    if not document["to_do"]:
        print("  nothing to do: the report would be written at once")
        return
    for engine in document["engines"]:
        arms = f" for {', '.join(engine['arms'])}" if len(document["engines"]) > 1 else ""
        print(f"  engine: {engine['engine']}{arms} ({engine['reason']})")
    if document["seconds"] is None:
        print(f"  how long: {document['speed_from']}")
    else:
        words = duration(document["seconds"])
        print(f"  about {words} with {document['at_once']} at once ({document['speed_from']})")
