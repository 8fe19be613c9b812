"""The results document: what a study found, in a format that other programs may rely on (docs/results.md)."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from lth.analysis.restarts import restart_sentences
from lth.analysis.statistics import interval
from lth.analysis.verdict import verdict
from lth.lineage import Deriver
from lth.lineage.provenance import environment
from lth.sparsity import PRUNED_ACTIONS
from lth.studies import Run, Study

FORMAT, VERSION = "lth.results", 1

MEASURES = {
    "test_accuracy": "test_accuracy",
    "early_stop_test_accuracy": "early_stop_test_accuracy",
    "validation_loss": "minimum_validation_loss",
    "early_stop_iteration": "early_stop_iteration",
}
"""Measure in the results -> metric of one training."""


def results(study: Study, deriver: Deriver) -> dict[str, Any]:
    """The results document of a built study, as JSON values.

    Accuracies are fractions, losses means over examples of what the recipe minimises (cross-entropy in nats, unless it
    says otherwise), early stopping in optimizer steps. A replicate that diverged, or that stands on one that did, has
    no values.
    """
    confidence = study.config.confidence
    by_level: dict[int, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in study.runs:
        by_level[run.level][run.arm].append(run)
    dense = _measures(by_level[0]["dense"], deriver, confidence) | {"density": 1.0}
    levels = []
    for level in range(1, study.config.levels + 1):
        arms = {arm: _measures(runs, deriver, confidence) for arm, runs in by_level[level].items()}
        levels.append({"level": level, "density": study.densities[level], "arms": arms})
    provenances = _provenances(study, deriver)
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "id": study.id,
        "config": study.document(),
        "environment": _environment(provenances),
        "engines": dict(Counter(each["engine"] for each in provenances)),
        "confidence": confidence,
        "dense": dense,
        "levels": levels,
    }
    found = verdict(dense, levels, margin=study.config.margin, confidence=confidence)
    if PRUNED_ACTIONS[study.config.pruned].trains:
        found |= dict.fromkeys(found.keys() - {"margin", "confidence", "replicates"}) | {"found": False, "controls": {}}
        found["sentences"] = restart_sentences(levels, dense, study.config.pruned, confidence)
    return document | {"verdict": found}


def metrics_of(run: Run, deriver: Deriver) -> dict[str, Any] | None:
    """What was measured in a run; None if it could not be trained or diverged."""
    if not deriver.store.has(run.trained):
        return None
    metrics = deriver.store.read_metrics(run.trained)
    return metrics if metrics["diverged_at"] is None else None


def _measures(runs: Iterable[Run], deriver: Deriver, confidence: float) -> dict[str, Any]:
    found = [metrics_of(run, deriver) for run in runs]
    measures: dict[str, Any] = {
        measure: interval([metrics[metric] if metrics else None for metrics in found], confidence)
        for measure, metric in MEASURES.items()
    }
    return measures | {"diverged": sum(metrics is None for metrics in found)}


def _provenances(study: Study, deriver: Deriver) -> list[dict[str, Any]]:
    """How each of the finished runs was run."""
    finished = (run.trained for run in study.runs if deriver.store.has(run.trained))
    return [deriver.store.manifest(trained.key)["provenance"] for trained in finished]


def _environment(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    """The environment of the first finished run, with the signatures of all; else the present one."""
    if not provenances:
        return environment()
    first = {name: value for name, value in provenances[0].items() if name not in ("seconds", "steps")}
    signatures = sorted({each["signature"] for each in provenances if each.get("signature")})
    return first | ({"signature": ", ".join(signatures)} if signatures else {})
