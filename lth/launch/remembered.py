"""What the store remembers of earlier trainings: how fast they went, and what they reached."""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from statistics import median

from lth.config.json_text import parse_json
from lth.lineage import Execution, Plan, Store, StoreError, Trained
from lth.lineage.estimate import cost_at
from lth.studies.prepare import Study
from lth.training import read_history

MOST_STUDIES, MOST_TRAININGS = 10, 200
"""Studies and trainings that are looked at, the newest first: a run begins at once."""

MOST_VALUES = 2000
"""Trainings whose values are read before the first one starts."""

ALIKE = ("model", "data", "batch_size", "model_structure", "data_digest")
"""Settings in which studies agree whose trainings take as long."""


def remembered_pace(study: Study, plan: Plan, store: Store, execution: Execution) -> float:
    """Return how much of a plan should be done in a second, in the units of `relative_cost`; 0 if that is unknown.

    It is taken from finished trainings of the same network on the same data by the same engines, each alone in a
    process on a CPU: those of this study, else those of others in the store.

    Args:
        study: what is to be done.
        plan: of it.
        store: with earlier results.
        execution: how jobs run.
    """
    if execution.device != "cpu" or execution.size != 1:
        return 0.0
    choices = execution.choices((work.job for work in plan.works), study.sources)
    engines = {choice.name for choice in choices.values()}
    own = [(job.key, job.density) for job in plan.done if isinstance(job, Trained)]
    for trainings in (own, *_alike(study, store)):
        if paces := list(_paces(trainings, store, engines)):
            return median(paces) * max(1, min(execution.workers, len(plan.works)))
    return 0.0


def _alike(study: Study, store: Store) -> Iterator[list[tuple[str, float]]]:
    """Give keys and densities of the trainings of each study like this one, the newest first."""
    wanted = study.document()
    notes = sorted(store.root.glob("studies/*/study.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in notes[:MOST_STUDIES]:
        try:
            note = parse_json(path.read_text())
            if path.parent.name != study.id and all(note["config"].get(name) == wanted.get(name) for name in ALIKE):
                yield [(each["key"], float(each["at"].get("density", 1.0))) for each in note["trainings"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged, or of an older lth: nothing is remembered of it


def _paces(trainings: Iterable[tuple[str, float]], store: Store, engines: set[str]) -> Iterator[float]:
    """Give the cost a second of each of some trainings that is finished and was trained as asked."""
    for key, density in islice(trainings, MOST_TRAININGS):
        try:
            how = store.manifest(key)["provenance"]
            is_alike = how["engine"] in engines and (how["device"], how["population"]) == ("cpu", 1)
            if is_alike and how["steps"] and how["seconds"]:
                fixed, per_step = cost_at(density, how["engine"])
                yield (fixed + per_step * how["steps"]) / how["seconds"]
        except (StoreError, KeyError):
            continue


def stored_values(study: Study, keys: Collection[str], store: Store, metric: str) -> dict[str, float]:
    """Return the last validation value of finished trainings of a study by key, as progress shows it of running ones.

    Args:
        study: whose measurements they are.
        keys: of what is finished.
        store: where they are.
        metric: its name.
    """
    jobs = {point.job.key: point.job for point in study.points if point.job.key in keys}
    values = {}
    for key, job in islice(jobs.items(), MOST_VALUES):
        if not isinstance(job, Trained):
            continue
        try:
            history = read_history(json.loads(store.read(job, "metrics.json")))
        except (StoreError, ValueError, KeyError):
            continue  # who needs it says what is wrong with it
        curve = history.curves.get(f"validation/{metric}", [])
        if history.diverged_at is None and curve and (value := curve[-1]) is not None:
            values[key] = value
    return values
