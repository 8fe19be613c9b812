"""Perceptrons of any shape, made-up examples, and trainings by both engines: what the sparse engine's tests share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from trainings import FolderJournal, run

from lth.config import Training
from lth.data import Arrays, Parts
from lth.data.order import seeded_generator
from lth.training import Interrupted, Member, Outcome
from lth.training.engines.sparse import read_chain
from lth.training.engines.sparse.examples import examples_of
from lth.training.engines.sparse.layout import Kind, layout_of

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}


def perceptron(
    widths: Sequence[int],
    activations: Sequence[str],
    biases: Sequence[bool] | None = None,
    dropouts: Sequence[float] | None = None,
) -> nn.Module:
    """Linear layers between these widths, each with its activation and dropout."""
    steps: list[nn.Module] = [nn.Flatten()]
    for index, activation in enumerate(activations):
        steps.append(nn.Linear(widths[index], widths[index + 1], bias=biases[index] if biases else True))
        steps.append(ACTIVATIONS[activation]())
        if dropouts and dropouts[index]:
            steps.append(nn.Dropout(dropouts[index]))
    return nn.Sequential(*steps)


def made_up(inputs: int, classes: int, zeros: float, seed: int = 0) -> Parts:
    """200, 60 and 60 examples whose labels a random linear map gives; a share `zeros` of their inputs is zero."""
    generator = seeded_generator("made-up examples", seed, inputs, classes)
    x = torch.randn(320, inputs, generator=generator)
    x = torch.where(torch.rand(320, inputs, generator=generator) < zeros, 0.0, x)
    y = (x @ torch.randn(inputs, classes, generator=generator)).argmax(1)
    cuts = {"train": slice(0, 200), "validation": slice(200, 260), "test": slice(260, 320)}
    return {name: Arrays({"x": x[cut], "y": y[cut]}) for name, cut in cuts.items()}


def kinds_of(module: nn.Module, one: Member, parts: Parts) -> list[Kind]:
    """How the sparse engine computes each layer of this member."""
    share = examples_of(parts, np.float64)["train"].share
    layouts = layout_of(read_chain(module.train()).layers, one.start, one.masks, share).layouts
    return [Kind(int(kind)) for kind in layouts["kind"]]


def train_one(one: Member, module: nn.Module, training: Training, **more: Any) -> Outcome:
    """One member, by the sparse engine unless told otherwise."""
    return run([one], module, training, **{"engine": "sparse", **more})[0]


def train_with_stops(
    one: Member, make: Callable[[], nn.Module], training: Training, folder: Path, stops: Sequence[int],
    **more: Any,
) -> Outcome:  # fmt: skip
    """Trains step by step, is killed after each of some steps, and goes on from the files."""
    for stop in stops:
        journal = FolderJournal(folder, stop_at=stop)
        with pytest.raises(Interrupted):
            train_one(one, make(), training, **more, journal=journal, snapshot_seconds=0.0)
        assert journal.step == stop
    outcome = train_one(one, make(), training, **more, journal=FolderJournal(folder), snapshot_seconds=0.0)
    assert outcome.num_steps == (training.steps if not stops else training.steps - stops[-1])
    return outcome


def largest_difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """Over all entries of all tensors; infinite if one of them holds what is no number."""
    assert left.keys() == right.keys()
    differences = torch.cat([(left[name].double() - right[name].double()).abs().reshape(-1) for name in left])
    return float(differences.nan_to_num(nan=float("inf")).max())
