"""Which trainings were begun and interrupted: what their snapshots tell."""

from collections.abc import Iterable

from lth.lineage.store import Store
from lth.training.snapshot import step_in

SNAPSHOTS = ("snapshot", "snapshot-before")
"""Files of a work folder, the newest first."""


def steps_begun(keys: Iterable[str], store: Store) -> dict[str, int]:
    """Return the step at which each training goes on, by key; of those that left a snapshot and are not finished."""
    begun: dict[str, int] = {}
    worked_on = store.unfinished()
    for key in keys:
        if key not in worked_on or store.folder(key).is_dir():
            continue
        steps = (step_in(store.work_folder(key) / name) for name in SNAPSHOTS)
        if (step := next((step for step in steps if step is not None), None)) is not None:
            begun[key] = step
    return begun
