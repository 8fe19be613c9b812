"""A study that the store notes goes on, with the settings that it was begun with."""

from pathlib import Path

from lth.analysis.labels import folder_called
from lth.analysis.notes import read_note
from lth.launch.found import Found
from lth.launch.labels import labels_in_script
from lth.launch.run import observer_of, run_study
from lth.launch.stored import load_noted
from lth.launch.tracked import ObserverFactory
from lth.lineage import Execution, Store
from lth.lineage.nested import refuse_nested


def resume(
    name: str,
    folder: str | Path | None = None,
    *,
    store: str | Path = "lth-store",
    out: str | Path | None = None,
    execution: Execution | None = None,
    progress: bool | ObserverFactory = True,
) -> Found:
    """Go on with a study of the store, of any kind, with the settings that it has; write its report.

    Args:
        name: its name, its ID, or the beginning of that.
        folder: where data files are looked for, and downloaded to.
        store: where it is.
        out: the report's folder; by default lth-reports/MODEL-DATA-ID.
        execution: device, workers and engine.
        progress: whether to show progress; or what makes an observer of the study's build.
    Raises:
        ValueError: if the store has no such study, or its model, data or functions cannot be loaded by their names, as
            where a script gave them as objects: the message names the command that made it.
        BuildError, StoreError: if a job or the store fails; finished work is kept.

    Example:
        found = lth.resume("slow-pruning", execution=lth.Execution(workers=1))
    """
    refuse_nested()
    note = read_note(folder_called(name, Path(store)) / "study.json")
    prepared = load_noted(note, Path(folder) if folder else None)
    where, execution = Store(Path(store)), execution or Execution()
    observer, labels = observer_of(progress, where, execution), labels_in_script(None, ())
    return run_study(prepared, where, execution, observer, Path(out) if out else None, labels=labels)
