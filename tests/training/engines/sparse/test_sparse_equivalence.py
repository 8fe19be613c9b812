"""The sparse engine equals the torch engine: any perceptron, masks, optimizer, loss, batch size and inputs."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sparse_trainings import kinds_of, largest_difference, made_up, perceptron
from trainings import classification, run, same_bits, short_training

from lth.data.order import seeded_generator
from lth.sparsity import Masks
from lth.training import Member, Seeds
from lth.training.engines.sparse.layout import Kind

STEPS = 100
CLOSE = 1e-8


@dataclass(frozen=True)
class MaskOf:
    """What of one layer is pruned."""

    density: float | None = 0.5  # None: it has no mask
    empty_rows: bool = False
    empty_columns: bool = False
    bias_density: float | None = None


@dataclass(frozen=True)
class Case:
    """A whole training."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    biases: tuple[bool, ...]
    masks: tuple[MaskOf, ...]
    fill: float | None = 0.0  # value of pruned entries; None: their drawn ones
    zeros: float = 0.0
    batch: int = 13
    first_step: int = 0
    fields: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


def member_of(case: Case) -> Member:
    """Weights and masks as the case wants them."""
    generator = seeded_generator("equivalence", case.seed)
    module = perceptron(case.widths, case.activations, case.biases)
    start = {
        name: torch.randn(value.shape, generator=generator) / value.shape[-1] ** 0.5
        for name, value in module.named_parameters()
    }
    masks: Masks = {}
    for weight, wanted in zip([name for name in start if name.endswith("weight")], case.masks, strict=True):
        shape, bias = start[weight].shape, weight.replace("weight", "bias")
        if wanted.density is not None:
            masks[weight] = torch.rand(shape, generator=generator) < wanted.density
            if wanted.empty_rows:
                masks[weight][:: 1 + shape[0] // 3] = False
            if wanted.empty_columns:
                masks[weight][:, :: 1 + shape[1] // 3] = False
        if wanted.bias_density is not None and bias in start:
            masks[bias] = torch.rand(start[bias].shape, generator=generator) < wanted.bias_density
    if case.fill is not None:
        for name, mask in masks.items():
            start[name] = torch.where(mask, start[name], case.fill)
    return Member("member", start, masks, Seeds(init=case.seed, order=case.seed, augmentation=case.seed))


OPTIMIZERS = st.one_of(
    st.sampled_from(
        [
            {},
            {"momentum": 0.9},
            {"momentum": 0.8, "nesterov": True},
            {"momentum": 0.9, "dampening": 0.3},
        ]
    ).map(lambda options: {"optimizer": "sgd", "optimizer_options": options, "lr": 0.005}),
    st.tuples(st.sampled_from(["adam", "adamw"]), st.sampled_from([{}, {"betas": (0.7, 0.95), "eps": 1e-6}])).map(
        lambda drawn: {"optimizer": drawn[0], "optimizer_options": drawn[1], "lr": 0.005}
    ),
)

SCHEDULES = st.sampled_from(
    [
        {},
        {"lr_decay": "cosine", "warmup": 7, "final_lr": 1e-3},
        {"lr_decay": "linear", "final_lr": 2e-3},
        {"lr_decay": "step", "lr_milestones": (20, 60), "lr_factor": 0.3},
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small perceptrons; one in four has more inputs than a tile."""
    layers = draw(st.integers(1, 4))
    inputs = draw(st.one_of(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(193, 220)))
    hidden = draw(st.lists(st.integers(1, 40), min_size=layers - 1, max_size=layers - 1))
    density = st.one_of(st.none(), st.sampled_from([0.0, 0.03, 0.2, 0.5, 0.9, 1.0]))
    mask = st.builds(
        MaskOf,
        density,
        empty_rows=st.booleans(),
        empty_columns=st.booleans(),
        bias_density=st.sampled_from([None, None, 0.5]),
    )
    return Case(
        widths=(inputs, *hidden, draw(st.integers(2, 10))),
        activations=(
            *[draw(st.sampled_from(["relu", "tanh", "identity"])) for _ in range(layers - 1)],
            draw(st.sampled_from(["identity", "identity", "tanh", "relu"])),
        ),
        biases=tuple(draw(st.booleans()) for _ in range(layers)),
        masks=tuple(draw(mask) for _ in range(layers)),
        fill=draw(st.sampled_from([0.0, 0.0, 0.25, None])),
        zeros=draw(st.sampled_from([0.0, 0.4, 0.9])),
        batch=draw(st.sampled_from([7, 13, 41, 90])),
        first_step=draw(st.sampled_from([0, 0, 17])),
        fields=draw(OPTIMIZERS)
        | draw(SCHEDULES)
        | {
            "weight_decay": draw(st.sampled_from([0.0, 0.0, 0.02])),
            "clip": draw(st.sampled_from([None, 0.05, 3.0])),
            "minimise": draw(st.sampled_from(["cross_entropy", "cross_entropy", "mean_squared_error"])),
        },
        seed=draw(st.integers(0, 99)),
    )


def check(case: Case) -> set[Kind]:
    """Trains by both engines; which kinds of layers there were."""
    parts = made_up(case.widths[0], case.widths[-1], case.zeros, case.seed)
    one = member_of(case)
    training = short_training(
        batch_size=case.batch,
        steps=case.first_step + STEPS,
        evaluate_every=20,
        precision="float64",
        **{name: value for name, value in case.fields.items() if name != "minimise"},
        task=classification(case.widths[-1], minimise=case.fields.get("minimise", "cross_entropy")),
        first_step=case.first_step,
    )

    def module() -> Any:
        return perceptron(case.widths, case.activations, case.biases)

    by_torch, by_sparse = (
        run([one], module(), training, parts=parts, engine=engine)[0] for engine in ("torch", "sparse")
    )
    assert (by_torch.engine, by_sparse.engine) == ("torch", "sparse")
    assert by_torch.num_steps == by_sparse.num_steps == STEPS
    assert largest_difference(by_torch.weights, by_sparse.weights) < CLOSE
    for curve in ("validation/loss", "train/loss"):
        wanted = by_torch.history.curves[curve]
        assert by_sparse.history.curves[curve] == pytest.approx(wanted, abs=CLOSE)
    assert by_sparse.history.steps == by_torch.history.steps
    assert by_sparse.history.end["test/loss"] == pytest.approx(by_torch.history.end["test/loss"], abs=CLOSE)
    losses = by_torch.history.curves["validation/loss"]
    if sum(loss < min(losses) + 2 * CLOSE for loss in losses) == 1:
        assert by_sparse.history.best.step == by_torch.history.best.step
    for name, mask in one.masks.items():
        for outcome in (by_torch, by_sparse):
            assert same_bits(outcome.weights[name][~mask], one.start[name].double()[~mask])
    return set(kinds_of(module(), one, parts))


WIDE = Case(  # more outputs than a block of units, several tiles of inputs that are mostly zero, a batch of two parts
    (210, 70, 5), ("relu", "identity"), (True, True), (MaskOf(0.9), MaskOf(1.0)), zeros=0.9, batch=90, seed=5,
    fields={"optimizer": "adam", "lr": 0.003, "clip": 0.5},
)  # fmt: skip
TILED = Case(  # several tiles of sparse layers on the way there and back, empty rows and columns, a batch of two parts
    (210, 30, 220, 5), ("tanh", "relu", "identity"), (True, False, True),
    (MaskOf(0.2, True, True), MaskOf(0.3, True, True), MaskOf(0.3)),
    batch=90, seed=6, fields={"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.02},
)  # fmt: skip
DENSE = Case(  # dense everywhere, a batch of two parts
    (30, 20, 4), ("relu", "identity"), (True, True), (MaskOf(None), MaskOf(None)), batch=90, seed=7,
    fields={"optimizer": "adamw", "lr": 0.003, "weight_decay": 0.02},
)  # fmt: skip
NOTHING = Case(  # a layer without survivors
    (12, 9, 8, 4), ("relu", "tanh", "identity"), (True, True, True), (MaskOf(0.5), MaskOf(0.0), MaskOf(0.5)), seed=8,
    fields={"optimizer": "sgd", "lr": 0.05, "optimizer_options": {"momentum": 0.9}},
)  # fmt: skip


def test_the_engines_agree_in_double_precision() -> None:
    seen: set[Kind] = set()

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],  # to shrink a failure would take minutes
    )
    @given(cases())
    @example(WIDE)
    @example(TILED)
    @example(DENSE)
    @example(NOTHING)
    def agree(case: Case) -> None:
        seen.update(check(case))

    agree()
    assert seen == set(Kind)


def test_the_cases_by_hand_are_what_they_say() -> None:
    def kinds(case: Case) -> list[Kind]:
        parts = made_up(case.widths[0], case.widths[-1], case.zeros, case.seed)
        return kinds_of(perceptron(case.widths, case.activations, case.biases), member_of(case), parts)

    assert kinds(WIDE) == [Kind.INPUTS, Kind.DENSE]
    assert kinds(TILED) == [Kind.SPARSE] * 3
    assert kinds(DENSE) == [Kind.DENSE, Kind.DENSE]
    assert not member_of(NOTHING).masks["3.weight"].any()
