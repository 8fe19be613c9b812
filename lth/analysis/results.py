"""The results document: what a study measured, in a format that other programs may rely on (docs/results.md)."""

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, cast

from lth.analysis.documents import RESULTS, VERSION, ArmDocument, PlotDocument, Results, Row, Verdict
from lth.analysis.points import Arm, Plot, Point
from lth.config import Metric
from lth.lineage import Job, Measured, Reader, environment


def results_document(
    *,
    id: str,
    study: str,
    config: dict[str, Any],
    metrics: Sequence[Metric],
    stop_by: str,
    arms: Iterable[Arm],
    axis: str,
    plots: Iterable[Plot],
    points: Sequence[Point],
    constant: dict[str, float],
    reader: Reader,
) -> Results:
    """Return the results document of a built study; its verdict is empty yet.

    Args:
        id: of the study.
        study: its kind.
        config: its settings, flat.
        metrics: those of the study and of its task; the first is the one that is compared.
        stop_by: the metric of early stopping.
        arms: in order; those without a point are left out.
        axis: rows of tables.
        plots: figures, as data.
        points: every measurement.
        constant: what the best answer without a look at the input reaches.
        reader: reads their results.
    """
    jobs = {point.job.key: point.job for point in points}
    measured = {key: reader.measured(job) if reader.store.has(job) else None for key, job in jobs.items()}
    provenances = [reader.store.manifest(key)["provenance"] for key in jobs if reader.store.has(jobs[key])]
    trainings = _engines(jobs.values(), reader)
    used = {point.arm for point in points}
    return {
        "format": RESULTS,
        "version": VERSION,
        "id": id,
        "study": study,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": config,
        "environment": _environment(provenances),
        "engines": dict(Counter(trainings)),
        "confidence": config["confidence"],
        "metrics": {
            each.name: {"better": each.better, "unit": each.unit, "words": each.words} for each in reversed(metrics)
        },
        "primary": metrics[0].name,
        "stop_by": stop_by,
        "arms": [cast(ArmDocument, asdict(arm)) for arm in arms if arm.name in used],
        "axis": axis,
        "plots": [cast(PlotDocument, asdict(plot)) for plot in plots],
        "constant": dict(constant),
        "rows": [_row(point, measured[point.job.key]) for point in points],
        "verdict": cast(Verdict, {}),  # concluded from the rest
    }


def _row(point: Point, items: list[Measured] | None) -> Row:
    row: Row = {
        "key": point.job.key,
        "arm": point.arm,
        "replicate": point.replicate,
        "at": dict(point.at),
        "end": {},
        "at_best": {},
        "best_step": None,
        "steps": point.job.first_step + point.job.steps,
        "diverged_at": None,
    }
    if items is None:
        return {**row, "missing": "the training before it diverged"}
    item = items[point.item]
    row["diverged_at"] = item.diverged_at
    if item.diverged_at is None:
        row["end"], row["at_best"], row["best_step"] = dict(item.end), dict(item.at_best), item.best_step
    return {**row, "start_digest": item.start_digest} if item.start_digest else row


def _engines(jobs: Iterable[Job], reader: Reader) -> list[str]:
    """Return which engine did each finished training among some jobs and what they stand on."""
    from lth.lineage import Trained, derivation

    trained = [node for node in derivation(*jobs).values() if isinstance(node, Trained) and reader.store.has(node)]
    return [reader.store.manifest(node.key)["provenance"]["engine"] for node in trained]


def _environment(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the environment of the first finished job, with the signatures of all; else the present one."""
    if not provenances:
        return environment()
    first = {name: value for name, value in provenances[0].items() if name not in ("seconds", "steps")}
    signatures = sorted({each["signature"] for each in provenances if each.get("signature")})
    return first | ({"signature": ", ".join(signatures)} if signatures else {})
