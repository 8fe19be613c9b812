"""From a study that is built to its results, tickets and report."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from lth.analysis.csv_files import csv_files
from lth.analysis.details import details_document
from lth.analysis.documents import Details, Results, TableRow
from lth.analysis.labels import read_labels
from lth.analysis.notes import PLACE
from lth.analysis.points import Point
from lth.analysis.reading import cells
from lth.analysis.results import results_document
from lth.analysis.statistics_table import statistics_rows
from lth.config.text import last_part
from lth.data import Subset, batches_of
from lth.launch.energy import energy_document, read_energy
from lth.launch.found import Found
from lth.launch.settings_shown import settings_document
from lth.lineage import (
    BuildError,
    Dense,
    Job,
    Reader,
    Store,
    Ticket,
    Trained,
    derivation,
    json_to_bytes,
    make_ticket,
    write_file,
    write_ticket,
)
from lth.studies.prepare import Study

CONSTANT_EXAMPLES = 100_000
"""Training examples that a constant answer is taken from, at most."""


class Announcer(Protocol):
    """Is told of a study's verdict when it stands, and then of each file that is written."""

    def concluded(self, results: Results) -> None: ...

    def wrote(self, what: str, path: Path, note: str = "") -> None: ...


def conclude_study(
    prepared: Study,
    store: Store,
    out: Path | None = None,
    skipped: Mapping[str, str] | None = None,
    announcer: Announcer | None = None,
) -> Found:
    """Write the results, tickets and report of a study that is built.

    Args:
        prepared: the study.
        store: with its results.
        out: folder of the report [default: `default_out`].
        skipped: why jobs were left out, by key.
        announcer: is told of verdict and files at once, as details and pictures take a while.
    Raises:
        BuildError: if nothing could be measured.
    """
    from lth.report import read_study, write_report  # slow to import, and only needed here

    folder, reader = out or default_out(prepared), Reader(store, prepared.sources)
    results, tables = conclude_results(prepared, reader, skipped)
    found = Found(results, folder, dict(skipped or {}))
    if announcer is not None:
        announcer.concluded(results)
    details = details_of(prepared, reader, results, tables)
    for place in (store.study_folder(prepared.id), folder):
        write_documents(place, results, details)
    for name, text in csv_files(prepared.points, tables, reader):
        write_file(folder / name, text.encode())
    announce(announcer, found, ("Results",))
    write_tickets(prepared, reader, results, folder / "tickets")
    announce(announcer, found, ("Tickets",))
    write_report([read_study(folder, read_labels(store.study_folder(prepared.id)))], folder)
    write_file(store.study_folder(prepared.id) / PLACE, json_to_bytes({"folder": str(folder.resolve())}))
    shutil.rmtree(unfinished_out(prepared), ignore_errors=True)
    announce(announcer, found, ("Report",))
    return found


def conclude_results(
    prepared: Study, reader: Reader, skipped: Mapping[str, str] | None = None
) -> tuple[Results, dict[str, list[TableRow]]]:
    """Return the results of a study with its verdict, and the tables behind them.

    Args:
        prepared: the study.
        reader: reads what was built.
        skipped: why jobs were left out, by key.
    Raises:
        BuildError: if nothing could be measured.
    """
    study_type, task = prepared.type, prepared.task
    results = results_document(
        id=prepared.id,
        study=study_type.name,
        config=prepared.document(),
        metrics=[*study_type.metrics, *task.metrics],
        stop_by=task.stop_by,
        arms=prepared.arms,
        axis=study_type.axis,
        plots=study_type.plots,
        points=prepared.points,
        constant=constant_of(prepared, reader),
        reader=reader,
    )
    if not any(row["end"] for row in results["rows"]):
        reason = next(iter((skipped or {}).values()), "every training diverged, or none was built")
        raise BuildError(f"nothing could be measured: {reason}. Try a lower --lr, or --clip 1")
    if energies := read_energy(reader.store.study_folder(prepared.id)):
        results["energy"] = energy_document(energies, len(jobs_of(prepared)))
    results["settings"] = settings_document(prepared)
    conclusion = study_type.conclude(results, reader, list(prepared.points))
    conclusion.verdict["sentences"].extend([*prepared.notes, *prunable_words(prepared, _prunable(prepared))])
    results["verdict"] = conclusion.verdict
    compared = statistics_rows(results)
    return results, {**conclusion.tables, **({"statistics": compared} if compared else {})}


def details_of(prepared: Study, reader: Reader, results: Results, tables: Mapping[str, list[TableRow]]) -> Details:
    """Return the details of a study whose results are known."""
    return details_document(
        prepared.id,
        prepared.points,
        reader,
        prunable=_prunable(prepared),
        shown=[arm.name for arm in prepared.arms if arm.role in ("baseline", "subject")],
        subjects=[arm.name for arm in prepared.arms if arm.role == "subject"],
        verdict=results["verdict"],
        tables=tables,
        learning=[f"validation/{results[name]}" for name in ("primary", "stop_by")],
    )


def write_documents(folder: Path, results: Results, details: Details) -> None:
    """Write results.json and details.json."""
    write_file(folder / "results.json", json_to_bytes(results))
    write_file(folder / "details.json", json_to_bytes(details))


def write_tickets(prepared: Study, reader: Reader, results: Results, folder: Path) -> None:
    """Write a study's tickets, and remove those of another study that was written to the same folder."""
    written = []
    for name, ticket in study_tickets(prepared, reader, results):
        written.append(folder / f"{name}.ticket.safetensors")
        write_ticket(ticket, written[-1])
    for stale in set(folder.glob("*.ticket.safetensors")) - set(written):
        stale.unlink()


def _prunable(prepared: Study) -> list[str]:
    """Return the names of the prunable parameters; none where nothing is pruned."""
    masks = getattr(prepared.settings, "masks", None)
    return [] if masks is None else prepared.subject.prunable(masks)


def announce(announcer: Announcer | None, found: Found, what: Sequence[str]) -> None:
    """Tell of some of what a study left: its Results, Tickets, Report."""
    if announcer is None:
        return
    for name in what:
        if name == "Results":
            announcer.wrote(name, found.folder / "results.json")
        elif name == "Report":
            announcer.wrote(name, found.report)
        elif tickets := found.tickets:
            announcer.wrote(name, found.folder / "tickets", f"({len(tickets)} files)")


def prunable_words(prepared: Study, names: Sequence[str]) -> list[str]:
    """Return how much of the network no mask reaches, in a sentence; none where nothing is pruned, or all can be."""
    parameters = dict(prepared.subject.module.named_parameters())
    weights, total = (sum(parameters[name].numel() for name in some) for some in (names, parameters))
    if not names or weights == total:
        return []
    rest = f"{100 * (1 - weights / total):.2g} % of the {total:,} parameters"
    return [f"Shares are of the {weights:,} prunable weights; the other {rest} are never pruned."]


def jobs_of(prepared: Study) -> list[Job]:
    """Return all jobs that a study needs."""
    return [node for node in derivation(*prepared.targets).values() if isinstance(node, Job)]


def constant_of(prepared: Study, reader: Reader) -> dict[str, float]:
    """Return what the best answer without a look at the input reaches on the test part.

    It is taken from the training part; from CONSTANT_EXAMPLES of it, evenly spaced, where there are more.
    """
    parts = reader.parts(prepared.subject.data)
    if not {"train", "test"} <= parts.keys():
        return {}
    names = [metric.name for metric in prepared.task.metrics]
    train = parts["train"]
    if len(train) > CONSTANT_EXAMPLES:
        train = Subset(train, torch.arange(CONSTANT_EXAMPLES) * len(train) // CONSTANT_EXAMPLES)
    values = prepared.task.constant(*(batches_of(part, 1000) for part in (train, parts["test"])))
    return {name: values[name] for name in names if name in values}


def default_out(prepared: Study) -> Path:
    """Return the usual folder of a study's report."""
    kind = "" if prepared.type.name == "find-ticket" else f"{prepared.type.name}-"
    name = f"{kind}{last_part(prepared.settings.model)}-{Path(prepared.settings.data).stem}-{prepared.id}"
    return Path("lth-reports") / _for_files(name)


def unfinished_out(prepared: Study) -> Path:
    """Return the folder of a study's report while it is unfinished."""
    usual = default_out(prepared)
    return usual.with_name(f"{usual.name}-unfinished")


def _for_files(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def study_tickets(prepared: Study, reader: Reader, results: Results) -> Iterator[tuple[str, Ticket]]:
    """Give every finished ticket of a study, with a file name and its metrics beside those of its level's arms."""
    subjects = {arm.name for arm in prepared.arms if arm.role == "subject"}
    rows = {(row["key"], row["arm"]): row for row in results["rows"]}
    by_level: dict[Any, dict[str, Any]] = {}
    for cell in cells(results, "primary"):
        by_level.setdefault(cell["at"].get("level"), {})[cell["arm"]] = cell["interval"]
    found = [point for point in prepared.points if point.arm in subjects and _is_ticket(point, reader)]
    are_several = len({point.arm for point in found}) > 1
    for point in found:
        row, level = rows[point.job.key, point.arm], point.at["level"]
        metrics = {
            "metric": results["primary"],
            "unit": results["metrics"][results["primary"]]["unit"],
            "own": {"end": row["end"], "at_best": row["at_best"], "best_step": row["best_step"]},
            "arms": by_level.get(0, {}) | by_level.get(level, {}),
            "roles": {arm.name: arm.role for arm in prepared.arms},
            "confidence": results["confidence"],
        }
        named = {name: value for name in ("model", "data", "start_from") if (value := getattr(prepared.settings, name))}
        labels = {"study": prepared.id, "level": level, "replicate": point.replicate, **named}
        assert isinstance(point.job, Trained)
        name = f"level-{int(level):02d}-replicate-{point.replicate}"
        if are_several:
            labels |= {"arm": point.arm}
            name = f"{_for_files(point.arm)}-{name}"
        yield name, make_ticket(point.job, reader, metrics, labels)


def _is_ticket(point: Point, reader: Reader) -> bool:
    """Return whether a point is a finished training under masks: where pruned weights train on, there is no ticket."""
    job = point.job
    return (
        isinstance(job, Trained) and not isinstance(job.masks, Dense) and "level" in point.at and reader.store.has(job)
    )
