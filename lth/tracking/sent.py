"""What of a study goes out: names, parameters and rows, from what the store notes and holds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.analysis.points import place_words
from lth.config.text import last_part
from lth.lineage import Store
from lth.lineage.begun import SNAPSHOTS
from lth.tracking.tracker import Row, Series, TrackedStudy, for_files
from lth.training import History, read_history
from lth.training.snapshot import history_in


def study_of(note: Mapping[str, Any]) -> TrackedStudy:
    """Return a study as trackers name it.

    Args:
        note: the content of its study.json.
    """
    kind, settings = note["study"], note["config"]
    experiment = for_files(f"{kind}-{last_part(str(settings['model']))}-{Path(str(settings['data'])).stem}")[:100]
    names: set[str] = set()
    series = []
    for training in note["trainings"]:
        one = _series(training, names)
        names.add(one.name)
        series.append(one)
    return TrackedStudy(note["id"], kind, experiment, settings, tuple(series))


def _series(training: Mapping[str, Any], taken: set[str]) -> Series:
    key, arm, at = training["key"], training["arm"], training["at"]
    name = place_words(arm, at, training["replicate"]) if arm else f"on the way, {key[:8]}"
    if name in taken:
        name = f"{name}, {key[:8]}"
    parameters = {"arm": arm or "on the way", "replicate": training["replicate"], **at, "key": key}
    return Series(key, name, parameters)


def rows_of(key: str, store: Store) -> tuple[list[Row], bool]:
    """Return all that is known of a training, in the order of its steps, and whether it is finished.

    The last row of a finished one is `end_row`; of one that goes on, what its newest snapshot has is told.

    Raises:
        StoreError: if what the store holds of it is damaged.
    """
    if store.folder(key).is_dir():
        history = read_history(json.loads(store.read_key(key, "metrics.json")))
        return [*rows_in(history), end_row(history)], True
    found = (history_in(store.work_folder(key) / name) for name in SNAPSHOTS)
    begun = next((history for history in found if history is not None), None)
    return (rows_in(begun) if begun else []), False


def rows_in(history: History) -> list[Row]:
    """Return what each evaluation measured."""
    return [(step, history.at(index)) for index, step in enumerate(history.steps)]


def end_row(history: History) -> Row:
    """Return what was measured at the end, and `at_best/...` of the weights at the early-stopping point `best_step`."""
    values = dict(history.end) | {f"at_best/{name}": value for name, value in history.at_best.items()}
    if history.best is not None:
        values["best_step"] = float(history.best.step)
    if history.diverged_at is not None:
        values["diverged_at"] = float(history.diverged_at)
    return max([*history.steps, history.diverged_at or 0]), values


def later(rows: Sequence[Row], step: int | None) -> list[Row]:
    """Return the rows after a step; all of them after None."""
    return [row for row in rows if step is None or row[0] > step]
