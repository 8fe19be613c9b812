"""`lth plan`: what `find-ticket` would do, and how long it should take."""

import json
import time
from typing import Any

from lth.cli.options import study_command
from lth.config import Running

CALIBRATION_STEPS = 60


@study_command
def plan(settings: list[dict[str, Any]], running: Running) -> int:
    """Show what find-ticket would do with the same arguments: what is done already, steps, time. Nothing is kept."""
    from lth.cli.studies import execution, load_studies
    from lth.lineage import Store
    from lth.lineage import plan as make_plan

    studies, how = load_studies(settings, running), execution(running)
    store = Store(running.store)
    documents = []
    for study in studies:
        todo = make_plan(study.targets, store)
        speed, source = _steps_per_second(study, store) if how.device == "cpu" else (None, "not estimated for a GPU")
        at_once = max(1, how.workers)
        documents.append(
            {
                "study": study.id,
                "model": study.config.model,
                "data": study.config.data,
                "trainings": len(study.runs),
                "done": len(study.runs) - sum(work.finish for work in todo.works),
                "to_do": len(todo.works),
                "steps": todo.steps,
                "steps_per_second_of_one": speed,
                "speed_from": source,
                "at_once": at_once,
                "seconds": max(todo.steps / at_once, longest_chain(todo)) / speed if speed else None,
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


def longest_chain(todo: Any) -> int:
    """Steps of the longest chain of trainings that wait for one another: no number of workers goes below it."""
    ends: dict[str, int] = {}
    for work in todo.works:  # each comes after those it needs
        ends[work.key] = work.steps + max((ends[key] for key in work.needs if key in ends), default=0)
    return max(ends.values(), default=0)


def _steps_per_second(study: Any, store: Any) -> tuple[float, str]:
    """Speed of one training on this machine: as recorded in the store for this study's runs, else measured now."""
    recorded = []
    for run in study.runs:
        if store.has(run.trained):
            provenance = store.manifest(run.trained.key)["provenance"]
            if provenance["steps"] and provenance["seconds"]:
                recorded.append(provenance["steps"] / provenance["seconds"])
    if recorded:
        return sorted(recorded)[len(recorded) // 2], f"the median of {len(recorded)} finished trainings"
    return _measure(study), f"{CALIBRATION_STEPS} steps measured now"


def _measure(study: Any) -> float:
    """Steps a second of one network in one thread, evaluations included, from a short training that is thrown away."""
    from lth.lineage.build import one_thread
    from lth.training import Member, train

    trained = study.runs[0].trained
    split = study.sources.split(trained.data)
    recipe = trained.recipe
    start = {name: value.detach().clone() for name, value in study.sources.module(study.model).state_dict().items()}
    member = Member("calibration", start, {}, trained.seeds)
    steps = min(CALIBRATION_STEPS, recipe.steps)
    rarely = recipe.model_copy(update={"evaluate_every": recipe.steps + 1})  # only at the start and at the end

    def seconds(until: int) -> float:
        began = time.monotonic()
        train([member], study.sources.module(study.model), split, rarely, until=until)
        return time.monotonic() - began

    with one_thread():
        seconds(1)  # warms up
        evaluation = seconds(0)
        per_step = max(1e-9, (seconds(steps) - 2 * evaluation) / steps)
    return float(1 / (per_step + evaluation / recipe.evaluate_every))


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
