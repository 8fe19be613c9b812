"""A study from settings to report: prepared, built, concluded. Each step can be called alone, any number of times."""

import datetime
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import yaml

from lth.analysis.details import details_document
from lth.analysis.documents import Results
from lth.analysis.points import Point
from lth.analysis.results import results_document
from lth.config import StudySettings
from lth.data import Data, batches_of, from_arrays, load_data, no_data
from lth.launch.found import PLACE, Found
from lth.lineage import (
    BuildError,
    Dense,
    Execution,
    Job,
    Observer,
    Reader,
    Store,
    Ticket,
    Trained,
    build,
    derivation,
    json_to_bytes,
    make_ticket,
    write_file,
    write_ticket,
)
from lth.lineage.executors.workers import IN_WORKER
from lth.models import Factory, is_importing, resolve_factory, resolve_function
from lth.report import read_study, write_report
from lth.studies import STUDIES, StudyType, settings_of
from lth.studies.prepare import Study, prepare

ObserverFactory = Callable[[Study], AbstractContextManager[Observer]]


def study(
    name: str,
    model: str | Factory = "lenet-300-100",
    data: str | Data | dict[str, Any] | None = None,
    folder: str | Path | None = None,
    *,
    store: str | Path = "lth-store",
    out: str | Path | None = None,
    execution: Execution | None = None,
    progress: bool | ObserverFactory = True,
    model_name: str | None = None,
    train: Callable[..., Any] | str | None = None,
    evaluate: Callable[..., Any] | str | None = None,
    **settings: Any,
) -> Found:
    """Run a study of any kind and write its report.

    Args:
        name: an entry of STUDIES: `find-ticket`, `supermask`, `connect`, `stability`, or one of yours.
        model: an entry of MODELS (with arguments as `gpt:width=64`), `package.module:function`, or a function that
            makes a `torch.nn.Module`. If its signature has `input_shape`, `num_classes` and the like, it is given those
            of the data.
        data: an entry of DATASETS, the path of an .npz or .txt file, a `Data`, or a dict of arrays x_train, y_train,
            x_test, y_test; by default digits, or nothing where `train` and `evaluate` are given and bring their own.
        folder: where data files are looked for, and downloaded to.
        store: where results are kept; a second call does only what is not there yet.
        out: the report's folder; by default lth-reports/MODEL-DATA-ID.
        execution: device, workers and engine.
        progress: whether to show progress; or what makes an observer of the study's build.
        model_name: the name by which a function's model is known in records; by default its module and name.
        train: your own training function, (network, run) -> None, or its `package.module:function`.
        evaluate: your own measurement, network -> {metric: value}, or its `package.module:function`; name the metrics'
            directions with `metrics={"score": "higher"}`.
        **settings: the study's settings that differ from the preset of the model and data set.
    Raises:
        ValueError: if a setting, the model or the data is wrong, or the engine cannot train the model.
        BuildError, StoreError: if a job or the store fails; finished work is kept.
    """
    refuse_nested()
    study_type = STUDIES.pick(name)
    if unfit := settings.keys() & {"workers", "device", "population", "engine"}:
        wrong = ", ".join(f"{each}=..." for each in sorted(unfit))
        raise ValueError(f"{wrong}: where trainings run is said by execution=lth.Execution({wrong})")
    check_known(study_type, settings)
    factory = resolve_factory(model) if isinstance(model, str) else model
    known_as = model if isinstance(model, str) else model_name or name_of(model, "model_name")
    if data is None:
        data = "digits" if train is None or evaluate is None else no_data()
    if isinstance(data, dict):
        if missing := {"x_train", "y_train", "x_test", "y_test"} - data.keys():
            raise ValueError(f"data lacks {', '.join(sorted(missing))}: found {', '.join(data) or 'nothing'}")
        data = from_arrays(**data)
    loaded = load_data(data, Path(folder) if folder else None) if isinstance(data, str) else data
    functions: dict[str, Callable[..., Any]] = {}
    for role, function in (("train", train), ("evaluate", evaluate)):
        if function is not None:
            text = function if isinstance(function, str) else name_of(function, f"{role} as 'package.module:function'")
            settings[role] = text
            functions[text] = resolve_function(text) if isinstance(function, str) else function
    given = {"model": known_as, "data": data if isinstance(data, str) else loaded.name, **settings}
    prepared = prepare(study_type, settings_of(study_type, given), factory, loaded, functions)
    return run_study(prepared, Store(Path(store)), execution, observer_of(progress), Path(out) if out else None)


def load_studies(
    study_type: StudyType[Any], settings: Sequence[StudySettings], folder: Path | None = None
) -> list[Study]:
    """Return the studies that some settings describe by names alone; data sets are loaded once.

    Args:
        study_type: their kind.
        settings: of each study.
        folder: where data files are looked for, and downloaded to.
    Raises:
        ValueError: if a name is unknown or a setting does not fit the model or the data.
    """
    refuse_nested()
    loaded: dict[str, Data] = {}
    studies = []
    for each in settings:
        factory, training = resolve_factory(each.model), each.training
        if each.data not in loaded:
            loaded[each.data] = load_data(each.data, folder)
        names = [name for name in (training.train, training.evaluate) if name is not None]
        functions = {name: resolve_function(name) for name in names}
        studies.append(prepare(study_type, each, factory, loaded[each.data], functions))
    return studies


def find_ticket(*args: Any, **keywords: Any) -> Found:
    """Search for winning tickets and write the report: `study("find-ticket", ...)`.

    Example:
        found = lth.find_ticket("lenet-300-100", "digits", levels=8, replicates=3)
        print(found)
    """
    return study("find-ticket", *args, **keywords)


def run_study(
    prepared: Study,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
) -> Found:
    """Build a study and write its results, tickets and report.

    Raises:
        ValueError: if the engine cannot train one of its networks; nothing is written then.
        Interrupted, BuildError, StoreError: see `lth.lineage.build`.
    """
    skipped = build_study(prepared, store, execution, observer, out)
    return conclude_study(prepared, store, out, skipped)


def build_study(
    prepared: Study,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
) -> dict[str, str]:
    """Do what a study needs and the store lacks; return what had to be left out, and why."""
    refuse_nested()
    execution = execution or Execution()
    if execution.engine != "auto":
        execution.choices(prepared.targets, prepared.sources)  # what cannot be trained as asked is said before all else
    store.check_writable()
    register(prepared, store)
    folder = out or default_out(prepared)
    settings = yaml.safe_dump(prepared.settings.flat(), sort_keys=False)
    command = f"lth {prepared.type.name} --config FILE"
    write_file(folder / "config.yaml", f"# study {prepared.id}; run again: {command}\n{settings}".encode())
    with observer(prepared) if observer else nullcontext() as attached:
        return build(prepared.targets, store, prepared.sources, execution, attached)


def conclude_study(
    prepared: Study, store: Store, out: Path | None = None, skipped: Mapping[str, str] | None = None
) -> Found:
    """Write the results, tickets and report of a study that is built.

    Raises:
        BuildError: if nothing could be measured.
    """
    folder, reader = out or default_out(prepared), Reader(store, prepared.sources)
    study_type, task = prepared.type, prepared.task
    results = results_document(
        id=prepared.id,
        study=study_type.name,
        config=prepared.document(),
        metrics=[*study_type.metrics, *task.metrics],
        stop_by=task.stop_by,
        arms=study_type.arms,
        axis=study_type.axis,
        plots=study_type.plots,
        points=prepared.points,
        constant=constant_of(prepared, reader),
        reader=reader,
    )
    if not any(row["end"] for row in results["rows"]):
        reason = next(iter((skipped or {}).values()), "every training diverged, or none was built")
        raise BuildError(f"nothing could be measured: {reason}. Try a lower --lr, or --clip 1")
    conclusion = study_type.conclude(results, reader, list(prepared.points))
    results["verdict"] = conclusion.verdict
    masks = getattr(prepared.settings, "masks", None)
    details = details_document(
        prepared.id,
        prepared.points,
        reader,
        prunable=[] if masks is None else prepared.subject.prunable(masks),
        shown=[arm.name for arm in study_type.arms if arm.role in ("baseline", "subject")],
        subjects=[arm.name for arm in study_type.arms if arm.role == "subject"],
        verdict=conclusion.verdict,
        tables=conclusion.tables,
    )
    for place in (store.study_folder(prepared.id), folder):
        write_file(place / "results.json", json_to_bytes(results))
        write_file(place / "details.json", json_to_bytes(details))
    written = []
    for name, ticket in study_tickets(prepared, reader, results):
        written.append(folder / "tickets" / f"{name}.ticket.safetensors")
        write_ticket(ticket, written[-1])
    for stale in set((folder / "tickets").glob("*.ticket.safetensors")) - set(written):
        stale.unlink()  # of another study that was written to the same folder
    write_report([read_study(folder)], folder)
    write_file(store.study_folder(prepared.id) / PLACE, json_to_bytes({"folder": str(folder.resolve())}))
    return Found(results, folder, dict(skipped or {}))


def constant_of(prepared: Study, reader: Reader) -> dict[str, float]:
    """Return what the best answer without a look at the input scores on the test part."""
    parts = reader.parts(prepared.subject.data)
    if not {"train", "test"} <= parts.keys():
        return {}
    names = [metric.name for metric in prepared.task.metrics]
    values = prepared.task.constant(*(batches_of(parts[part], 1000) for part in ("train", "test")))
    return {name: values[name] for name in names if name in values}


def register(prepared: Study, store: Store) -> None:
    """Note in the store that this study exists, so that it can be listed while it is built."""
    path = store.study_folder(prepared.id) / "study.json"
    if not path.exists():
        document = {
            "format": "lth.study/2",
            "id": prepared.id,
            "study": prepared.type.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "config": prepared.document(),
            "keys": [job.key for job in prepared.targets],
            "jobs": [key for key, node in derivation(*prepared.targets).items() if isinstance(node, Job)],
        }
        write_file(path, json_to_bytes(document))


def default_out(prepared: Study) -> Path:
    """Return the usual folder of a study's report."""
    kind = "" if prepared.type.name == "find-ticket" else f"{prepared.type.name}-"
    name = f"{kind}{prepared.settings.model}-{Path(prepared.settings.data).stem}-{prepared.id}"
    return Path("lth-reports") / re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def study_tickets(prepared: Study, reader: Reader, results: Results) -> Iterator[tuple[str, Ticket]]:
    """Give every finished ticket of a study, with a file name and its scores beside those of its level's arms."""
    from lth.analysis.reading import cells

    subjects = {arm.name for arm in prepared.type.arms if arm.role == "subject"}
    rows = {(row["key"], row["arm"]): row for row in results["rows"]}
    by_level: dict[Any, dict[str, Any]] = {}
    for cell in cells(results, "primary"):
        by_level.setdefault(cell["at"].get("level"), {})[cell["arm"]] = cell["interval"]
    for point in prepared.points:
        if point.arm not in subjects or not _is_ticket(point, reader):
            continue
        row, level = rows[point.job.key, point.arm], point.at["level"]
        scores = {
            "metric": results["primary"],
            "unit": results["metrics"][results["primary"]]["unit"],
            "own": {"end": row["end"], "at_best": row["at_best"], "best_step": row["best_step"]},
            "arms": by_level.get(0, {}) | by_level.get(level, {}),
        }
        labels = {"study": prepared.id, "level": level, "replicate": point.replicate, "data": prepared.settings.data}
        assert isinstance(point.job, Trained)
        yield f"level-{int(level):02d}-replicate-{point.replicate}", make_ticket(point.job, reader, scores, labels)


def _is_ticket(point: Point, reader: Reader) -> bool:
    """Return whether a point is a finished training under masks: where pruned weights train on, there is no ticket."""
    job = point.job
    return (
        isinstance(job, Trained) and not isinstance(job.masks, Dense) and "level" in point.at and reader.store.has(job)
    )


def check_known(study_type: StudyType[Any], settings: Mapping[str, Any]) -> None:
    """Check that settings are among a study's.

    Raises:
        ValueError: if one is not; suggests the nearest.
    """
    from lth.config import check_choice, flat_fields

    known = [name for name, *_ in flat_fields(study_type.settings)] + ["preset", *study_type.settings.model_fields]
    for name in settings:
        check_choice("setting", name, known)


def name_of(function: Callable[..., Any], advice: str) -> str:
    """Return the name of a function for records.

    Raises:
        ValueError: if it has none of its own: two of its kind would share their results.
    """
    if getattr(function, "__qualname__", "<lambda>").endswith("<lambda>"):
        raise ValueError(f"this function has no name of its own: give it one ({advice})")
    return f"{function.__module__}:{function.__qualname__}"


def observer_of(progress: "bool | ObserverFactory") -> ObserverFactory | None:
    """Return what makes an observer: a live table in a terminal, a bar in a notebook, nothing for False."""
    if callable(progress):
        return progress
    if not progress:
        return None
    from lth.launch.progress import make_progress

    return make_progress()


def refuse_nested() -> None:
    """Refuse a search inside a worker process, or while a module is being imported for another search.

    Raises:
        ValueError: with what to do.
    """
    guard = 'put the search under `if __name__ == "__main__":`'
    if os.environ.get(IN_WORKER):
        raise ValueError(f"a search was started inside a worker process of another search: {guard}")
    if is_importing():
        raise ValueError(f"a search was started by a module that is being imported for its model or function: {guard}")
