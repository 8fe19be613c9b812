"""What the report shows beyond the results: curves, layer densities, weight distributions, a derivation."""

from collections import defaultdict
from typing import Any

import numpy as np

from lth.analysis.results import metrics_of
from lth.lineage import Dense, Deriver, Trained, derivation, in_words
from lth.sparsity import Masks
from lth.studies import Run, Study

FORMAT, VERSION = "lth.details", 1
BINS = 60


def details(study: Study, deriver: Deriver, verdict_level: int | None) -> dict[str, Any]:
    """The details document of a built study, as JSON values.

    Args:
        study: a study whose runs are in the deriver's store.
        deriver: reads them.
        verdict_level: the level whose ticket's derivation is told; the last level if None.
    """
    groups: dict[tuple[int, str], list[Run]] = defaultdict(list)
    for run in study.runs:
        groups[run.level, run.arm].append(run)
    tickets = {
        level: [run for run in runs if metrics_of(run, deriver) is not None]
        for (level, arm), runs in groups.items()
        if arm in ("dense", "ticket")
    }
    masks = {level: [_masks(run, study, deriver) for run in runs] for level, runs in tickets.items()}
    curves = [
        {"level": level, "density": study.densities[level], "arm": arm, **curve}
        for (level, arm), runs in groups.items()
        if (curve := _curve(runs, deriver)) is not None
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": study.id,
        "curves": curves,
        "layers": [row for level, found in masks.items() if found for row in _layers(level, found)],
        "distributions": _distributions(tickets, masks, study, deriver),
        "derivation": _told(_representative(study, verdict_level)),
    }


def _masks(run: Run, study: Study, deriver: Deriver) -> Masks:
    """The run's masks, with those of the dense network written out."""
    masks = deriver.masks(run.trained.masks)
    if isinstance(run.trained.masks, Dense):
        weights = deriver.weights(run.trained)
        return {name: weights[name].new_ones(weights[name].shape).bool() for name in study.prunable}
    return masks


def _curve(runs: list[Run], deriver: Deriver) -> dict[str, Any] | None:
    """Mean curves over the replicates that went to the end; None if there is none."""
    found = [metrics for run in runs if (metrics := metrics_of(run, deriver)) is not None]
    if not found:
        return None
    names = ("validation_accuracy", "validation_loss", "train_loss")
    means = {
        name: [_mean(values) for values in zip(*(metrics[name] for metrics in found), strict=True)] for name in names
    }
    return {"iterations": found[0]["iterations"], **means}


def _mean(values: tuple[float | None, ...]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def _layers(level: int, found: list[Masks]) -> list[dict[str, Any]]:
    rows = []
    for name, mask in found[0].items():
        kept = sum(int(masks[name].sum()) for masks in found) / len(found)
        rows.append(
            {"level": level, "layer": name, "weights": mask.numel(), "kept": kept, "density": kept / mask.numel()}
        )
    return rows


def _distributions(
    tickets: dict[int, list[Run]],
    masks: dict[int, list[Masks]],
    study: Study,
    deriver: Deriver,
) -> list[dict[str, Any]]:
    """Densities of the surviving weights before and after training, over replicates, on one set of edges a layer."""
    survivors: dict[str, dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = defaultdict(dict)
    for level, runs in tickets.items():
        pooled: dict[str, list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]] = defaultdict(list)
        for run, run_masks in zip(runs, masks[level], strict=True):
            initial, final = deriver.weights(run.trained.start), deriver.weights(run.trained)
            for name, mask in run_masks.items():
                pooled[name].append((initial[name][mask].double().numpy(), final[name][mask].double().numpy()))
        for name, pairs in pooled.items():
            starts, ends = zip(*pairs, strict=True)
            survivors[name][level] = (np.concatenate(starts), np.concatenate(ends))
    rows = []
    for name, by_level in survivors.items():
        tails = [float(np.quantile(np.abs(after), 0.999)) for _, after in by_level.values() if after.size]
        edges = np.linspace(-max(tails, default=1.0), max(tails, default=1.0), BINS + 1)
        for level, (before, after) in by_level.items():
            if after.size:
                row = {"level": level, "density": study.densities[level], "layer": name, "edges": edges.tolist()}
                rows.append(row | {"initial": _histogram(before, edges), "final": _histogram(after, edges)})
    return rows


def _histogram(values: np.ndarray[Any, Any], edges: np.ndarray[Any, Any]) -> list[float]:
    """Probability density per bin; what lies beyond the edges counts as mass outside, so it is not squeezed in."""
    counts, _ = np.histogram(values, edges)
    return (counts / (values.size * np.diff(edges))).tolist()  # type: ignore[no-any-return]


def _representative(study: Study, level: int | None) -> Trained:
    level = study.config.levels if level is None else level
    return next(run.trained for run in study.runs if run.level == level and run.arm == "ticket")


def _told(trained: Trained) -> list[dict[str, str]]:
    return [{"key": key, "kind": node.kind, "text": in_words(node)} for key, node in derivation(trained).items()]
