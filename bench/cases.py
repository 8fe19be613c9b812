"""What is trained: a network, its data, its masks. Speed depends on all three, down to which pixels are zero."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.ratio import Effort
from lth.config import Clock, TaskSpec, Training
from lth.data import Data, Examples, Parts, from_arrays, load_data, split
from lth.data.mnist import locate
from lth.lineage.executors import one_thread
from lth.models import LeNet300100
from lth.models.convnet import ConvNet
from lth.models.transformer import Transformer
from lth.sparsity import Masks, Weights, select
from lth.studies.find_ticket_settings import frankle_carbin_lenet
from lth.training import Member, Where, seeds_of, train

PAPER = frankle_carbin_lenet()
RATE, OUTPUT_RATE = PAPER.masks.rate, PAPER.masks.rate / 2
"""By 20 % a level within each layer, 10 % in the output layer."""

PAPER_STEPS = Clock(1).steps(PAPER.training.duration)

LEVELS = (0, 3, 6, 8, 10, 13, 16, 20)
"""Levels of the paper's schedule that are measured: 100, 51, 26, 17, 11, 5.6, 2.9 and 1.2 % density."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A network with its data.

    Attributes:
        name: of the network.
        make: a fresh module; its values do not matter.
        start: the weights that all ways start from; pruned ones are zero.
        masks: by parameter; empty where the network is dense.
        parts: training examples, and validation examples as many as the paper's.
        training: how it is trained.
    """

    name: str
    make: Callable[[], nn.Module]
    start: Weights
    masks: Masks
    parts: Parts
    training: Training

    def module(self) -> nn.Module:
        """The network at its start."""
        module = self.make()
        module.load_state_dict(self.start)
        return module

    def member(self) -> Member:
        """The same as the engines want it."""
        return Member("bench", self.start, self.masks, seeds_of(0, 0))

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.name}, {percent(self.density)}"

    @property
    def density(self) -> float:
        """Fraction of the prunable weights that is kept."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return kept / sum(mask.numel() for mask in self.masks.values()) if self.masks else 1.0


def lenet(level: int, effort: Effort, masks: Masks | None = None) -> Case:
    """LeNet-300-100 at a level of the paper's schedule, with these masks or those of a short study."""
    found = lenet_masks(effort)[level] if masks is None else masks
    return _case("LeNet-300-100", LeNet300100, found, effort)


def networks(effort: Effort, density: float = 0.2) -> list[Case]:
    """The convolution net and two transformers, pruned by magnitude at the start, globally.

    In the narrow transformer the small products of attention take most of a step, in the wide one Linear layers do.
    """
    makers: dict[str, Callable[[], nn.Module]] = {
        "small conv net with batch norm": ConvNet,
        "two-block transformer, 32 wide": Transformer,
    }
    if not effort.is_tiny:
        makers["two-block transformer, 128 wide"] = partial(Transformer, width=128)
    return [_case(name, make, density, effort) for name, make in makers.items()]


def _case(name: str, make: Callable[[], nn.Module], masks: Masks | float, effort: Effort) -> Case:
    torch.manual_seed(0)
    start = make().state_dict()
    if isinstance(masks, float):
        weights = {key: value for key, value in start.items() if value.ndim > 1 and key != "position"}
        masks = select(weights, {}, density=masks, key=torch.abs)
    start = {key: value * masks[key] if key in masks else value.clone() for key, value in start.items()}
    return Case(name, make, start, masks, examples(effort), training(PAPER_STEPS))


def training(steps: int) -> Training:
    """The paper's, of this length."""
    recipe = PAPER.training
    return Training(
        task=TaskSpec(arguments={"num_classes": 10}),
        steps=steps,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        optimizer=recipe.optimizer,
        evaluate_every=recipe.evaluate_every,
    )


def tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    """Return all inputs and labels of a part, as other programs take them: float32 and int64."""
    return _tensors(examples)  # type: ignore[arg-type]  # known by its identity


@cache
def _tensors(examples: Any) -> tuple[Tensor, Tensor]:
    batch = examples.take(torch.arange(len(examples)), torch.device("cpu"))
    return batch["x"], batch["y"]


def percent(density: float) -> str:
    """As the paper writes it: two digits."""
    return f"{100 * density:.2g} %" if density < 0.995 else "100 %"


@cache
def lenet_masks(effort: Effort) -> tuple[Masks, ...]:
    """Masks of level 0 to the paper's last, by training, pruning and rewinding with fewer steps a level."""
    torch.manual_seed(0)
    start = LeNet300100().state_dict()
    found: list[Masks] = [{}]
    for level in range(1, PAPER.levels + 1):
        weights = _trained(start, found[-1], effort)
        found.append(layerwise(weights, found[-1], level))
    return tuple(found)


def _trained(start: Weights, masks: Masks, effort: Effort) -> Weights:
    """The matrices after a short training from the start; random numbers if it has no steps."""
    matrices = {name: value for name, value in start.items() if value.ndim > 1}
    if effort.mask_steps == 0:
        return {name: torch.rand_like(value) for name, value in matrices.items()}
    short = training(effort.mask_steps).with_(evaluate_every=effort.mask_steps)
    from_here = {name: value * masks[name] if name in masks else value for name, value in start.items()}
    with one_thread():
        (outcome,) = train(
            [Member("masks", from_here, masks, seeds_of(0, 0))], short, examples(effort), module=LeNet300100(),
            where=Where(engine="auto"),
        )  # fmt: skip
    return {name: outcome.weights[name] for name in matrices}


def layerwise(weights: Weights, masks: Masks, level: int) -> Masks:
    """The paper's pruning: by magnitude within each layer, the output layer at half the rate."""
    masks = dict(masks)
    for name, weight in weights.items():
        rate = OUTPUT_RATE if name == "output.weight" else RATE
        own = {name: masks[name]} if name in masks else {}
        masks |= select({name: weight}, own, density=(1 - rate) ** level, key=torch.abs)
    return masks


@cache
def examples(effort: Effort) -> Parts:
    """The data, split as the paper does."""
    data = load(effort)
    return split(data, validation=min(PAPER.validation or 0, len(data.parts["train"]) // 10), seed=0)


@cache
def load(effort: Effort) -> Data:
    """MNIST where it is at hand (LTH_DATA_DIR, the cache, ../shared/data); it is not downloaded."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = None if os.environ.get("LTH_DATA_DIR") else beside
    if not effort.is_tiny and (locate("mnist", folder) or locate("mnist")):
        return load_data("mnist", folder if locate("mnist", folder) else None)
    return mnist_shaped(1200 if effort.is_tiny else 60_000)


def mnist_shaped(number: int) -> Data:
    """Images of MNIST's shape and share of nonzero pixels: 19 %, dense in the middle, none at the border."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(28) - 13.5
    bump = torch.exp(-(rows[:, None] ** 2 + rows[None, :] ** 2) / (2 * 6.0**2))
    bump[[0, 1, -2, -1]] = 0
    bump[:, [0, 1, -2, -1]] = 0
    likely = 0.19 * bump.numel() * bump / bump.sum()
    images = torch.randint(1, 256, (number, 28, 28), generator=generator, dtype=torch.uint8)
    images *= torch.rand(images.shape, generator=generator) < likely
    directions = torch.randn(784, 10, generator=generator)
    labels = (images.flatten(1).float() @ directions).argmax(1)
    tests = number // 6
    name = "images of MNIST's shape and share of zeros"
    return from_arrays(images[:-tests], labels[:-tests], images[-tests:], labels[-tests:], name=name)


def mask_factors(module: nn.Module, masks: Masks) -> list[tuple[nn.Parameter, Tensor]]:
    """Parameters with their masks as floats, which multiply faster than bools."""
    parameters = dict(module.named_parameters())
    return [(parameters[name], mask.to(parameters[name].dtype)) for name, mask in masks.items()]
