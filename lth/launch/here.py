"""A study run here, from settings to report: plan, build, read, write."""

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lth.analysis import details, results
from lth.config import FindTicket, preset
from lth.data import Data, from_arrays, load_data
from lth.lineage import (
    BuildError,
    Dense,
    Deriver,
    Execution,
    Observer,
    Store,
    Ticket,
    build,
    json_to_bytes,
    make_ticket,
    write_file,
    write_ticket,
)
from lth.models import Factory, resolve_factory
from lth.report import read_study, write_report
from lth.studies import Study, find_ticket_study

ObserverFactory = Callable[[Study], Observer]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search left.

    Attributes:
        study: what was asked.
        results: the results document (docs/results.md).
        folder: report.html, results.json, details.json, config.yaml, figures/ and tickets/.
        tickets: the ticket files, by level and replicate.
        skipped: key and reason of each training that could not be done, because one before it diverged.
    """

    study: Study
    results: dict[str, Any]
    folder: Path
    tickets: list[Path]
    skipped: dict[str, str]

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict, in numbers and in `sentences`."""
        return self.results["verdict"]  # type: ignore[no-any-return]

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"


def find_ticket(
    model: str | Factory = "lenet-300-100",
    data: str | Data | dict[str, Any] = "digits",
    folder: str | Path | None = None,
    *,
    store: str | Path = "lth-store",
    out: str | Path | None = None,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    model_name: str | None = None,
    **settings: Any,
) -> Found:
    """Searches for winning tickets and writes the report.

    Args:
        model: an entry of MODELS, `package.module:function`, or a function that makes a `torch.nn.Module`. If its
            signature
            has `input_shape` or `num_classes`, it is given those of the data.
        data: an entry of DATASETS, the path of an .npz file, a `Data`, or a dict of arrays x_train, y_train, x_test,
            y_test.
        folder: where data files are looked for, and downloaded to.
        store: where results are kept; a second call trains only what is not there yet.
        out: the report's folder; by default lth-reports/MODEL-DATA-ID.
        execution: device, workers and engine.
        observer: makes an observer of the study's build, for progress.
        model_name: the name by which a function's model is known in records; by default its module and name.
        **settings: fields of `lth.FindTicket` that differ from the preset of the model and data set.
    Raises:
        ValueError: if a setting, the model or the data is wrong, or the engine cannot train the model.
        BuildError, StoreError: if a training or the store fails; finished work is kept.

    Example:
        found = lth.find_ticket("lenet-300-100", "digits", levels=8, replicates=3)
        print(found.verdict["sentences"])
    """
    if unfit := settings.keys() & {"workers", "device", "population", "engine"}:
        raise ValueError(f"{', '.join(sorted(unfit))}: where trainings run is said by execution=lth.Execution(...)")
    factory = resolve_factory(model) if isinstance(model, str) else model
    name = model if isinstance(model, str) else model_name or _factory_name(model)
    if isinstance(data, dict):
        if missing := {"x_train", "y_train", "x_test", "y_test"} - data.keys():
            raise ValueError(f"data lacks {', '.join(sorted(missing))}: found {', '.join(data) or 'nothing'}")
        data = from_arrays(**data)
    loaded = load_data(data, Path(folder) if folder else None) if isinstance(data, str) else data
    base = preset(name, loaded.name).model_dump(exclude_unset=True)
    config = FindTicket(**{**base, "model": name, "data": data if isinstance(data, str) else loaded.name, **settings})
    study = find_ticket_study(config, factory, loaded)
    return run_study(study, Store(Path(store)), execution, observer, Path(out) if out else None)


def run_study(
    study: Study,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
) -> Found:
    """Builds a study and writes its results, tickets and report.

    Raises:
        ValueError: if the engine cannot train one of its networks; nothing is written then.
        Interrupted, BuildError, StoreError: see `lth.lineage.build`.
    """
    execution = execution or Execution()
    execution.choices(study.targets, study.sources)
    store.check_writable()
    register(study, store)
    folder = out or default_out(study)
    settings = yaml.safe_dump(study.config.model_dump(mode="json"), sort_keys=False)
    write_file(
        folder / "config.yaml", f"# study {study.id}; run again: lth find-ticket --config FILE\n{settings}".encode()
    )
    skipped = build(study.targets, store, study.sources, execution, observer(study) if observer else None)
    deriver = Deriver(store, study.sources)
    if skipped and not any(store.has(run.trained) for run in study.runs if run.level == 1):
        reason = next(iter(skipped.values()))
        raise BuildError(f"no ticket could be trained: {reason}. Try a lower --lr, or --clip 1")
    found = results(study, deriver)
    document = details(study, deriver, found["verdict"]["level"])
    for place in (store.study_folder(study.id), folder):
        write_file(place / "results.json", json_to_bytes(found))
        write_file(place / "details.json", json_to_bytes(document))
    tickets = []
    for name, ticket in study_tickets(study, deriver, found):
        tickets.append(folder / "tickets" / f"{name}.ticket.safetensors")
        write_ticket(ticket, tickets[-1])
    for stale in set((folder / "tickets").glob("*.ticket.safetensors")) - set(tickets):
        stale.unlink()  # of another study that was written to the same folder
    write_report([read_study(folder)], folder)
    return Found(study, found, folder, tickets, skipped)


def register(study: Study, store: Store) -> None:
    """Notes in the store that this study exists, so that it can be listed while it is built."""
    path = store.study_folder(study.id) / "study.json"
    if not path.exists():
        document = {
            "format": "lth.study/1",
            "id": study.id,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "config": study.document(),
            "runs": [
                {"level": run.level, "arm": run.arm, "replicate": run.replicate, "key": run.trained.key}
                for run in study.runs
            ],
        }
        write_file(path, json_to_bytes(document))


def default_out(study: Study) -> Path:
    """The usual folder of a study's report."""
    name = f"{study.config.model}-{Path(study.config.data).stem}-{study.id}"
    return Path("lth-reports") / re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def study_tickets(study: Study, deriver: Deriver, found: dict[str, Any]) -> Iterator[tuple[str, Ticket]]:
    """Every finished ticket of a study, with a file name and its scores beside those of its level's arms."""
    for run in study.runs:
        is_sparse = not isinstance(run.trained.masks, Dense)  # where pruned weights train on, there is no ticket
        if run.arm == "ticket" and is_sparse and deriver.store.has(run.trained):
            metrics = deriver.store.read_metrics(run.trained)
            own = {name: metrics[name] for name in ("test_accuracy", "early_stop_iteration", "minimum_validation_loss")}
            arms = {arm: values["test_accuracy"] for arm, values in found["levels"][run.level - 1]["arms"].items()}
            scores = {"own": own, "test_accuracy": {"dense": found["dense"]["test_accuracy"], **arms}}
            labels = {"study": study.id, "level": run.level, "replicate": run.replicate, "data": study.config.data}
            name = f"level-{run.level:02d}-replicate-{run.replicate}"
            yield name, make_ticket(run.trained, deriver, scores, labels)


def _factory_name(factory: Factory) -> str:
    """A name for records.

    Raises:
        ValueError: if the function has none of its own: two of its kind would share their results.
    """
    if getattr(factory, "__qualname__", "<lambda>").endswith("<lambda>"):
        raise ValueError("this model function has no name of its own: give it one with model_name='...'")
    return f"{factory.__module__}:{factory.__qualname__}"
