"""A study from settings to report: prepared, built, concluded. Each step can be called alone, any number of times."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from lth.analysis.labels import Labels
from lth.config.stopping import interruptible
from lth.data import Data, from_arrays, no_data
from lth.launch.conclude import Announcer, announce, conclude_study, default_out, jobs_of
from lth.launch.energy import measured, meter_of
from lth.launch.found import Found
from lth.launch.labels import labels_in_script
from lth.launch.load import Given, check_known, load_studies, name_of
from lth.launch.notes import being_built, register
from lth.launch.samples import SamplesWritten, check_sample
from lth.launch.stored import filled
from lth.launch.tracked import ObserverFactory, Tracked
from lth.launch.unchanged import note_concluded, read_unchanged
from lth.lineage import (
    Execution,
    Observer,
    Reader,
    Store,
    Unobserved,
    build,
    write_file,
)
from lth.lineage.executors import follow
from lth.lineage.nested import refuse_nested
from lth.models import Factory
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study

KEYWORDS = ("folder", "store", "out", "name", "tags", "execution", "progress", "model_name", "train", "evaluate")
"""Keywords of `study` that are no settings."""


def study(
    kind: str,
    /,
    model: str | Factory | None = None,
    data: str | Data | dict[str, Any] | None = None,
    folder: str | Path | None = None,
    *,
    store: str | Path = "lth-store",
    out: str | Path | None = None,
    name: str | None = None,
    tags: str | Sequence[str] = (),
    execution: Execution | None = None,
    progress: bool | ObserverFactory = True,
    model_name: str | None = None,
    train: Callable[..., Any] | str | None = None,
    evaluate: Callable[..., Any] | str | None = None,
    **settings: Any,
) -> Found:
    """Run a study of any kind and write its report.

    Args:
        kind: an entry of STUDIES: `find-ticket`, `connect`, `merge`, ... (docs/studies.md has all), or one of yours.
        model: an entry of MODELS (with arguments as `gpt2:n_embd=64`), `package.module:function`, or a function that
            makes a `torch.nn.Module`. If its signature has `input_shape`, `num_classes` and the like, it is given those
            of the data. By default what ticket files among the settings are of, else lenet-300-100.
        data: an entry of DATASETS, the path of an .npz or .txt file, a `Data`, or a dict of arrays x_train, y_train,
            x_test, y_test; by default digits, or nothing where `train` and `evaluate` are given and bring their own.
        folder: where data files are looked for, and downloaded to.
        store: where results are kept; a second call does only what is not there yet.
        out: the report's folder; by default lth-reports/MODEL-DATA-ID.
        name: what the study is called in the store: `lth.results(name)`, `lth show NAME`.
        tags: words that `lth ls --tag` finds it by.
        execution: device, workers and engine.
        progress: whether to show progress; or what makes an observer of the study's build.
        model_name: the name by which a function's model is known in records; by default its module and name.
        train: your own training function, (network, run) -> None, or its `package.module:function`.
        evaluate: your own measurement, network -> {metric: value}, or its `package.module:function`; name the metrics'
            directions with `metrics={"score": "higher"}`.
        **settings: the study's settings that differ from the preset of the model and data set; one that names data, as
            `source_data`, may be a `Data`.
    Raises:
        ValueError: if a setting, the model or the data is wrong, or the engine cannot train the model.
        BuildError, StoreError: if a job or the store fails; finished work is kept.
    """
    refuse_nested()
    study_type = STUDIES.pick(kind)
    if unfit := settings.keys() & {"workers", "device", "population", "engine"}:
        wrong = ", ".join(f"{each}=..." for each in sorted(unfit))
        raise ValueError(f"{wrong}: where trainings run is said by execution=lth.Execution({wrong})")
    check_known(study_type, settings, KEYWORDS)
    if study_type.stored and settings.get(study_type.stored):
        settings = filled(study_type, settings, Path(store))
        stored = {each: settings.pop(each) for each in ("model", "data")}
        model, data = stored["model"] if model is None else model, stored["data"] if data is None else data
    if data is None:
        data = "digits" if train is None or evaluate is None else no_data()
    data = data_of(data) if isinstance(data, dict) else data
    known_as, models = _model_of(model, model_name)
    data_name = data if isinstance(data, str) else data.name
    live = {} if isinstance(data, str) else {data_name: data}
    for setting, value in settings.items():
        if isinstance(value, Data):
            if live.setdefault(value.name, value) is not value:
                raise ValueError(f"{setting}: two different data sets are called {value.name!r}; give each a name")
            settings[setting] = value.name
    functions: dict[str, Callable[..., Any]] = {}
    for role, function in (("train", train), ("evaluate", evaluate)):
        if isinstance(function, str):
            settings[role] = function
        elif function is not None:
            settings[role] = name_of(function, f"{role} as 'package.module:function'")
            functions[settings[role]] = function
    given = Given(
        models=models,
        data=live,
        functions=functions,
    )
    wanted = settings_of(study_type, {**known_as, "data": data_name, **settings})
    where, execution = Store(Path(store)), execution or Execution()
    [prepared] = load_studies(study_type, [wanted], Path(folder) if folder else None, given)
    observer, labels = observer_of(progress, where, execution), labels_in_script(name, tags)
    return run_study(prepared, where, execution, observer, Path(out) if out else None, labels=labels)


def _model_of(model: str | Factory | None, name: str | None) -> tuple[dict[str, str], dict[str, Factory]]:
    """Return the setting that a model stands for, and the factory by its name, where it is one."""
    if model is None or isinstance(model, str):
        return ({} if model is None else {"model": model}), {}
    known_as = name or name_of(model, "model_name")
    return {"model": known_as}, {known_as: model}


def few_shot(
    sources: str | Path | Sequence[str | Path],
    target: str | Data | dict[str, Any],
    folder: str | Path | None = None,
    **keywords: Any,
) -> Found:
    """Train tickets on few examples of another task and write the report: `study("few-shot", ...)`.

    Args:
        sources: ticket files.
        target: the data.
        folder: where data files are looked for.
        **keywords: as of `study`, and the study's settings.

    Example:
        found = lth.few_shot(["own.ticket.safetensors", "merged.ticket.safetensors"], "glue/qqp", mode="head")
    """
    files = [sources] if isinstance(sources, str | Path) else sources
    return study("few-shot", data=target, folder=folder, sources=tuple(map(str, files)), **keywords)


def data_of(arrays: dict[str, Any]) -> Data:
    """Return the data in a dict of arrays.

    Raises:
        ValueError: if x_train, y_train, x_test or y_test is missing.
    """
    if missing := {"x_train", "y_train", "x_test", "y_test"} - arrays.keys():
        raise ValueError(f"data lacks {', '.join(sorted(missing))}: found {', '.join(arrays) or 'nothing'}")
    return from_arrays(**arrays)


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
    announcer: Announcer | None = None,
    labels: Labels | None = None,
) -> Found:
    """Build a study and write its results, tickets and report; what would be written again as it is stays.

    Raises:
        ValueError: if the engine cannot train one of its networks; nothing is written then.
        Interrupted, BuildError, StoreError: see `lth.lineage.build`.
    """
    tracked, found = Tracked(prepared, store, () if execution is None else execution.track), None
    try:
        skipped = build_study(prepared, store, execution, tracked.observer(observer), out, labels)
        found = None if skipped else read_unchanged(prepared, store, out or default_out(prepared))
        if found is None:
            with being_built(prepared, store):
                found = conclude_study(prepared, store, out, skipped, announcer)
            note_concluded(prepared, store, found)
        elif announcer is not None:
            announcer.concluded(found.results)
            announce(announcer, found, ("Results", "Tickets", "Report"))
    finally:
        tracked.close(found, is_interrupted=found is None)
    return found


def follow_study(prepared: Study, store: Store, execution: Execution) -> bool:
    """Take part in the trainings of a study whose first rank runs it; nothing is written.

    Returns:
        Whether it ended without an interruption.
    """
    with interruptible() as is_interrupted:
        return follow(Reader(store, prepared.sources), execution.where, is_interrupted)


def build_study(
    prepared: Study,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
    labels: Labels | None = None,
) -> dict[str, str]:
    """Do what a study needs and the store lacks; return what had to be left out, and why."""
    refuse_nested()
    execution = execution or Execution()
    check_sample(prepared, execution)
    if execution.energy is not None:
        meter_of(execution.energy)  # a name that is none is said before all else
    if execution.engine != "auto":
        execution.choices(prepared.targets, prepared.sources)  # what cannot be trained as asked is said before all else
    store.check_writable()
    register(prepared, store, labels)
    folder = out or default_out(prepared)
    settings = yaml.safe_dump(prepared.settings.flat(), sort_keys=False)
    first = f"# study {prepared.id}; run again: lth run FILE\nrun: {prepared.type.name}\n"
    write_file(folder / "config.yaml", f"{first}{settings}".encode())
    attaching = observer(prepared) if observer else nullcontext(Unobserved())
    with being_built(prepared, store), attaching as attached:
        shown: Observer = attached
        if execution.sample is not None:
            shown = SamplesWritten(attached, prepared, execution.sample, folder)
        jobs = jobs_of(prepared) if execution.energy else []
        with measured(
            execution.energy, store.study_folder(prepared.id), lambda: sum(not store.has(job) for job in jobs)
        ):
            return build(prepared.targets, store, prepared.sources, execution, shown)


def observer_of(progress: "bool | ObserverFactory", store: Store, execution: Execution) -> ObserverFactory | None:
    """Return what makes an observer: a live table in a terminal, a bar in a notebook, nothing for False."""
    if callable(progress):
        return progress
    if not progress:
        return None
    from lth.launch.progress import make_progress

    return make_progress(execution=execution, store=store)
