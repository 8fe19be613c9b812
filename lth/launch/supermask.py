"""A study of supermasks run here: build, measure, write."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from lth.analysis.statistics import Interval, interval
from lth.data import Split
from lth.data.order import seeded_generator
from lth.lineage import Deriver, Execution, Observer, Store, Trained, build, environment, json_to_bytes, write_file
from lth.lineage.build import one_thread
from lth.models.supermask import Supermask
from lth.sparsity import Masks, shuffle_within_tensors
from lth.studies.supermask import SupermaskStudy

FORMAT = "lth.supermask/1"

ACCURACIES = ("sampled", "thresholded", "random", "untrained")
"""The learned masks drawn and thresholded, a random mask of the thresholded one's density, the whole network."""

EVALUATION_BATCH = 1000
"""Test examples per forward pass."""

ObserverFactory = Callable[[SupermaskStudy], Observer]


@dataclass(frozen=True, slots=True, eq=False)
class FoundSupermasks:
    """What a study of supermasks left.

    Attributes:
        study: what was asked.
        results: the results document.
        folder: results.json and config.yaml.
    """

    study: SupermaskStudy
    results: dict[str, Any]
    folder: Path


def run_supermask_study(
    study: SupermaskStudy,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
) -> FoundSupermasks:
    """Builds a study of supermasks and writes its results.

    Args:
        study: what to do.
        store: where trainings are kept; those that are there are not done again.
        execution: device, workers and engine.
        observer: makes an observer of the build, for progress.
        out: folder of results.json; by default lth-reports/supermask-MODEL-DATA-ID.
    Raises:
        ValueError: if the engine cannot train it; nothing is written then.
        Interrupted, BuildError, StoreError: see `lth.lineage.build`.
    """
    execution = execution or Execution()
    execution.choices(study.targets, study.sources)
    store.check_writable()
    name = f"supermask-{study.config.model}-{Path(study.config.data).stem}-{study.id}"
    folder = out or Path("lth-reports") / re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    settings = yaml.safe_dump(study.config.model_dump(mode="json"), sort_keys=False)
    write_file(
        folder / "config.yaml", f"# study {study.id}; run again: lth supermask --config FILE\n{settings}".encode()
    )
    build(study.targets, store, study.sources, execution, observer(study) if observer else None)
    found = supermask_results(study, Deriver(store, study.sources))
    write_file(folder / "results.json", json_to_bytes(found))
    return FoundSupermasks(study, found, folder)


def supermask_results(study: SupermaskStudy, deriver: Deriver) -> dict[str, Any]:
    """The results document of a built study, as JSON values.

    Test accuracies and densities are fractions, each with its interval over replicates; one that diverged has no
    values. `sampled` (masks drawn, mean over `draws`) is null where the method draws none.
    """
    split = study.sources.split(study.data)
    with one_thread():
        measured = [_measure(trained, study, deriver, split) for trained in study.targets]

    def over_replicates(*path: str) -> Interval:
        return interval([_at(each, path) for each in measured], study.config.confidence)

    is_sampled = study.config.method == "bernoulli"
    return {
        "format": FORMAT,
        "id": study.id,
        "config": study.document(),
        "environment": environment(),
        "confidence": study.config.confidence,
        "test_accuracy": {
            kind: over_replicates("test_accuracy", kind) if is_sampled or kind != "sampled" else None
            for kind in ACCURACIES
        },
        "density": over_replicates("density"),
        "density_by_tensor": {name: over_replicates("density_by_tensor", name) for name in _supermask(study).names},
        "diverged": sum(each is None for each in measured),
    }


def _supermask(study: SupermaskStudy) -> Supermask:
    module = study.sources.module(study.model)
    assert isinstance(module, Supermask)
    return module


@torch.no_grad()
def _measure(trained: Trained, study: SupermaskStudy, deriver: Deriver, split: Split) -> dict[str, Any] | None:
    """Accuracies and densities of one replicate; None if it diverged."""
    if deriver.store.read_metrics(trained)["diverged_at"] is not None:
        return None
    state = deriver.weights(trained)
    module = _supermask(study)
    module.to(torch.float64 if study.config.precision == "float64" else torch.float32)
    module.load_state_dict(state)
    module.eval()
    masks = module.thresholded()
    draw = seeded_generator("masks of a supermask's evaluation", trained.seeds.augmentation)
    accuracies = {
        "thresholded": _accuracy(module, masks, split),
        "random": _accuracy(module, shuffle_within_tensors(masks, draw), split),
        "untrained": _accuracy(module, None, split),
    }
    if study.config.method == "bernoulli":
        each = [_accuracy(module, module.sampled(draw), split) for _ in range(study.config.draws)]
        accuracies["sampled"] = sum(each) / len(each)
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    return {
        "test_accuracy": accuracies,
        "density": sum(kept.values()) / sum(mask.numel() for mask in masks.values()),
        "density_by_tensor": {name: count / masks[name].numel() for name, count in kept.items()},
    }


def _accuracy(module: Supermask, masks: Masks | None, split: Split) -> float:
    """Test accuracy under these masks; without any, of the frozen network as it is."""
    dtype, correct = next(module.parameters()).dtype, 0
    for start in range(0, len(split.y_test), EVALUATION_BATCH):
        inputs = split.x_test[start : start + EVALUATION_BATCH].to(dtype)
        logits: Tensor = module.network(inputs) if masks is None else module.under(masks, inputs)
        correct += int((logits.argmax(1) == split.y_test[start : start + EVALUATION_BATCH]).sum())
    return correct / len(split.y_test)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = None if values is None else values.get(name)
    return values
