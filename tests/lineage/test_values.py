"""What values are worth: each kind of weights and masks against a computation by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, assert_same_weights, built, jobs, study, tiny, weights_in
from safetensors.torch import save_file
from torch import Tensor, nn

from lth.config import Pruning, SupermaskSettings
from lth.data import load_data
from lth.lineage import (
    NODES,
    Ablated,
    Checkpoint,
    Combined,
    Complement,
    Constant,
    Dense,
    Given,
    Grafted,
    Initial,
    Interpolated,
    LearnedMasks,
    MaskedNetwork,
    MasksNode,
    Merged,
    Noise,
    Permuted,
    Prunable,
    Pruned,
    Reader,
    Reshuffled,
    Shuffled,
    Signed,
    Sources,
    Store,
    Transplanted,
    WeightsNode,
    ZeroedByMovement,
    Zeros,
    build,
    masks_digest,
    read_masks_file,
)
from lth.models import ModelSpec, Supermask
from lth.sparsity import Masks, Weights
from lth.studies.prepare import Study

PRUNED = ("1.weight", "3.weight")
"""The matrices of `tiny`."""


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader of an empty store that can make `tiny`."""
    return Reader(Store(tmp_path / "values"), Sources(models={"tiny": tiny, "tied": Tied}))


def initial(seed: int = 1, name: str = "tiny") -> Initial:
    return Initial(spec=ModelSpec(name=name), seed=seed)


def random_masks(draw: int = 0) -> Shuffled:
    """Masks that follow from keys alone: half of each matrix, at random places."""
    start = initial(1 + draw)
    half = Pruned(start=start, end=start, among=Dense(), pruning=Pruning(rate=0.5), level=1)
    return Shuffled(masks=half)


def drawn(seed: int) -> Weights:
    """The state that PyTorch draws under a seed."""
    torch.manual_seed(seed)
    return {name: value.detach().clone() for name, value in tiny().state_dict().items()}


def assert_others_stay(state: Weights, of: Weights) -> None:
    """What is not pruned is untouched."""
    assert_same_weights({n: v for n, v in state.items() if n not in PRUNED}, {n: of[n] for n in of if n not in PRUNED})


def test_initial(reader: Reader) -> None:
    assert_same_weights(reader.weights(initial(3)), drawn(3))


def test_zeros(reader: Reader) -> None:
    zeros = reader.weights(Zeros(like=initial()))
    assert {name: value.shape for name, value in zeros.items()} == {n: v.shape for n, v in drawn(1).items()}
    assert not any(value.any() for value in zeros.values())


def test_combined(reader: Reader) -> None:
    """Kept entries of one state, pruned ones of another, and what has no mask of the first."""
    masks = random_masks()
    state = reader.weights(Combined(masks=masks, kept=initial(1), pruned=initial(2)))
    one, other = drawn(1), drawn(2)
    expected = {
        name: torch.where(reader.masks(masks)[name], value, other[name]) if name in PRUNED else value
        for name, value in one.items()
    }
    assert_same_weights(state, expected)


def test_permuted_and_reshuffled(reader: Reader) -> None:
    """The same values in another order: over all places, or over those that are kept."""
    origin, masks = drawn(1), reader.masks(random_masks())
    permuted = reader.weights(Permuted(of=initial()))
    reshuffled = reader.weights(Reshuffled(of=initial(), masks=random_masks()))
    for name in PRUNED:
        before, mask = origin[name], masks[name]
        assert torch.equal(permuted[name].flatten().sort().values, before.flatten().sort().values)
        assert not torch.equal(permuted[name], before)
        assert torch.equal(reshuffled[name][~mask], before[~mask])
        assert torch.equal(reshuffled[name][mask].sort().values, before[mask].sort().values)
        assert not torch.equal(reshuffled[name][mask], before[mask])
    assert_others_stay(permuted, origin)
    assert_others_stay(reshuffled, origin)


def test_constant_and_signed(reader: Reader) -> None:
    """The standard deviation with random signs; magnitudes of one state with the signs of another."""
    one, other = drawn(1), drawn(2)
    constant = reader.weights(Constant(of=initial(1)))
    signed = reader.weights(Signed(of=initial(1), signs=initial(2)))
    for name in PRUNED:
        spread = ((one[name] - one[name].mean()) ** 2).mean().sqrt()
        assert torch.allclose(constant[name].abs(), spread.expand_as(constant[name]), rtol=1e-5)
        assert abs(float(constant[name].sign().mean())) < 0.2
        assert torch.equal(signed[name], one[name].abs() * other[name].sign())
    assert_others_stay(constant, one)
    assert_others_stay(signed, one)


@pytest.mark.parametrize(("distribution", "largest"), [("normal", 3.0), ("uniform", math.sqrt(3))])
def test_noise(distribution: str, largest: float, reader: Reader) -> None:
    """As spread as the weights: uniform noise ends at sqrt(3) of it, normal noise does not."""
    origin, noise = drawn(1), reader.weights(Noise(of=initial(), distribution=distribution))
    spread = float(origin["1.weight"].std(unbiased=False))
    assert float(noise["1.weight"].std()) == pytest.approx(spread, rel=0.1)
    assert float(noise["1.weight"].mean()) == pytest.approx(0, abs=0.1 * spread)
    most = float(noise["1.weight"].abs().max()) / spread
    assert most <= largest if distribution == "uniform" else most > math.sqrt(3)
    assert_others_stay(noise, origin)


@pytest.mark.parametrize("kind", [Permuted, Constant, Noise])
def test_draws_follow_from_the_key(kind: Any, reader: Reader) -> None:
    values = [reader.weights(kind(of=initial(), draw=draw))["1.weight"] for draw in (0, 1, 0)]
    assert torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[1])


@pytest.mark.parametrize("kind", [Permuted, Constant, Noise])
def test_what_is_prunable_can_be_said(kind: Any, reader: Reader) -> None:
    origin, changed = drawn(1), reader.weights(kind(of=initial(), never_prune=("3.*",)))
    assert torch.equal(changed["3.weight"], origin["3.weight"])
    assert not torch.equal(changed["1.weight"], origin["1.weight"])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_interpolated(share: float, reader: Reader) -> None:
    one, other = drawn(1), drawn(2)
    state = reader.weights(Interpolated(first=initial(1), second=initial(2), share=share))
    for name, value in state.items():
        torch.testing.assert_close(value, (1 - share) * one[name] + share * other[name])
    if share in (0, 1):
        assert_same_weights(state, other if share else one)


def test_interpolated_counters_are_of_the_first(tmp_path: Path) -> None:
    def normed() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))

    made = study(normed, levels=1, controls=(), duration="8it")
    store = built(tmp_path, made)
    dense, ticket = jobs(made, "dense")[0], jobs(made, "ticket")[0]
    state = Reader(store, made.sources).weights(Interpolated(first=dense.start, second=ticket, share=0.5))
    ends = Reader(store, made.sources).weights(dense.start), weights_in(store, ticket)
    assert [int(each["1.num_batches_tracked"]) for each in (state, *ends)] == [0, 0, 8]
    torch.testing.assert_close(state["1.running_mean"], (ends[0]["1.running_mean"] + ends[1]["1.running_mean"]) / 2)


def test_ablated(reader: Reader) -> None:
    expected = drawn(1)
    expected["1.weight"][3] = 0
    expected["3.weight"][2, 5] = 0
    expected["3.weight"][:, -1] = 0
    places: Any = (("1.weight", (3, None)), ("3.weight", (2, 5)), ("3.weight", (None, -1)))
    assert_same_weights(reader.weights(Ablated(of=initial(), places=places)), expected)
    doubled = reader.weights(Ablated(of=initial(), places=places[:1], factor=2.0))
    assert torch.equal(doubled["1.weight"][3], 2 * drawn(1)["1.weight"][3])
    assert torch.equal(doubled["1.weight"][4], drawn(1)["1.weight"][4])


def test_transplanted_takes_places_from_another_state(reader: Reader) -> None:
    places: Any = (("3.weight", (2, 5)), ("1.weight", (3, None)))
    expected, donor = drawn(1), drawn(2)
    expected["3.weight"][2, 5] = donor["3.weight"][2, 5]
    expected["1.weight"][3] = donor["1.weight"][3]
    assert_same_weights(reader.weights(Transplanted(of=initial(1), source=initial(2), places=places)), expected)
    with pytest.raises(ValueError, match="'9.weight' is no parameter of the network"):
        reader.weights(Transplanted(of=initial(1), source=initial(2), places=(("9.weight", (0, 0)),)))


def test_grafted_takes_whole_tensors_from_another_state(reader: Reader) -> None:
    expected = drawn(1) | {"3.weight": drawn(2)["3.weight"]}
    assert_same_weights(reader.weights(Grafted(of=initial(1), donor=initial(2), names=("3.weight",))), expected)
    with pytest.raises(ValueError, match=r"9.weight is no tensor of both states"):
        reader.weights(Grafted(of=initial(1), donor=initial(2), names=("9.weight",)))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("9.weight", (0, 0)), "'9.weight' is no parameter of the network. Its parameters: 1.weight, 1.bias"),
        (("1.weight", (16, 0)), r"'1.weight' has shape \(16, 64\): \(16, 0\) is no place in it"),
        (("1.bias", (0, 0)), r"'1.bias' has shape \(16,\): \(0, 0\) is no place"),
    ],
)
def test_places_that_are_not_there_are_errors(place: Any, message: str, reader: Reader) -> None:
    with pytest.raises(ValueError, match=message):
        reader.weights(Ablated(of=initial(), places=(place,)))


class Tied(nn.Module):
    """Two Linears that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.second.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(torch.tanh(self.second(torch.tanh(self.first(inputs.flatten(1))))))


@pytest.mark.parametrize(
    "make",
    [
        lambda of: Permuted(of=of),
        lambda of: Noise(of=of),
        lambda of: Ablated(of=of, places=(("first.weight", (0, 0)),)),
        lambda of: Ablated(of=of, places=(("second.weight", (0, 0)),)),
        lambda of: Transplanted(of=of, source=Permuted(of=of), places=(("second.weight", (0, None)),)),
        lambda of: Interpolated(first=of, second=Permuted(of=of), share=0.5),
    ],
)
def test_a_tied_weight_changes_under_all_its_names(make: Callable[[WeightsNode], WeightsNode], reader: Reader) -> None:
    origin = initial(1, "tied")
    before, state = reader.weights(origin), reader.weights(make(origin))
    assert torch.equal(state["first.weight"], state["second.weight"])
    assert not torch.equal(state["first.weight"], before["first.weight"])


def test_merged_and_complement(reader: Reader) -> None:
    nodes = tuple(random_masks(draw=draw) for draw in range(3))
    one, two, three = (reader.masks(node) for node in nodes)
    by_rule: dict[str, Callable[[str], Tensor]] = {
        "union": lambda name: one[name] | two[name] | three[name],
        "intersection": lambda name: one[name] & two[name] & three[name],
        "majority": lambda name: one[name].int() + two[name].int() + three[name].int() >= 2,
        "difference": lambda name: one[name] & ~two[name] & ~three[name],
    }
    for rule, expected in by_rule.items():
        found = reader.masks(Merged(masks=nodes, rule=rule))
        assert found.keys() == set(PRUNED)
        assert all(torch.equal(mask, expected(name)) for name, mask in found.items())
    found = reader.masks(Complement(masks=nodes[0]))
    assert all(torch.equal(mask, ~one[name]) for name, mask in found.items())
    assert Complement(masks=nodes[0]).planned_density == nodes[0].planned_density == 0.5
    assert Merged(masks=nodes).planned_density is None
    with pytest.raises(ValueError, match="an empty network"):
        Complement(masks=Dense())


def test_dense_and_prunable(reader: Reader) -> None:
    spec = ModelSpec(name="tiny")
    assert reader.masks(Dense()) == {}
    full = reader.masks(Prunable(model=spec))
    assert {name: (tuple(mask.shape), bool(mask.all())) for name, mask in full.items()} == {
        "1.weight": ((16, 64), True),
        "3.weight": ((10, 16), True),
    }
    assert reader.masks(Prunable(model=spec, never_prune=("3.*",))).keys() == {"1.weight"}
    assert not reader.store.root.exists()  # neither is kept: they follow from the model


def test_masks_chosen_without_a_training(reader: Reader) -> None:
    """The largest half of the initial weights of each matrix."""
    masks = reader.masks(random_masks().masks)
    for name, mask in masks.items():
        values = drawn(1)[name].abs()
        assert int(mask.sum()) == mask.numel() // 2
        assert values[mask].min() >= values[~mask].max()


@pytest.mark.parametrize("toward", [True, False])
def test_zeroed_by_movement(toward: bool, finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader, ticket = Reader(store, made.sources), jobs(made, "ticket")[0]
    origin = ticket.root
    state = reader.weights(ZeroedByMovement(trained=ticket, initial=origin, otherwise=origin, toward=toward))
    before, after, start = reader.weights(origin), weights_in(store, ticket), reader.weights(ticket.start)
    for name, mask in reader.masks(ticket.masks).items():
        goes = (after[name].abs() < before[name].abs()) == toward
        kept = torch.where(goes, torch.zeros_like(before[name]), before[name])
        assert torch.equal(state[name], torch.where(mask, kept, start[name]))
    assert_others_stay(state, before)


def test_checkpoints_and_ends_are_what_the_store_holds(finished: tuple[Study, Store]) -> None:
    made, store = finished
    dense = jobs(made, "dense")[0]
    for node in (dense, Checkpoint(trained=dense, step=5)):
        assert_same_weights(Reader(store, made.sources).weights(node), weights_in(store, node))


SUPERMASKS = {
    "bernoulli": SupermaskSettings(),
    "rescaled": SupermaskSettings(rescale=True, weights="signed_constant"),
    "edge_popup": SupermaskSettings(method="edge_popup", density=0.3, rescale=True),
}


@pytest.mark.parametrize("name", SUPERMASKS)
def test_a_masked_network_is_the_supermask(name: str, tmp_path: Path) -> None:
    """Learned masks are the module's own; under them the plain network gives the outputs that the module gives."""
    settings, made = SUPERMASKS[name], study(levels=1, controls=(), lr=0.1)
    subject, seeds = made.subject, jobs(made, "dense")[0].seeds
    spec = subject.model.model_copy(update={"supermask": settings})
    trained = subject.train(Initial(spec=spec, seed=seeds.init), None, seeds)
    store = Store(tmp_path)
    assert build([trained], store, made.sources, HERE) == {}
    reader = Reader(store, made.sources)
    module = reader.module(spec)
    assert isinstance(module, Supermask)
    module.load_state_dict(weights_in(store, trained))
    module.eval()
    inputs = load_data("digits").parts["test"].take(torch.arange(50), torch.device("cpu"))["x"]

    def outputs(node: WeightsNode) -> Tensor:
        plain = tiny()
        plain.load_state_dict(reader.weights(node))
        return plain(inputs)

    learned = LearnedMasks(trained=trained)
    assert_same_masks(reader.masks(learned), module.thresholded())
    torch.testing.assert_close(outputs(MaskedNetwork(trained=trained, masks=learned)), module(inputs))
    random = Shuffled(masks=learned)
    under = module.under(reader.masks(random), inputs)
    torch.testing.assert_close(outputs(MaskedNetwork(trained=trained, masks=random)), under)
    torch.testing.assert_close(outputs(MaskedNetwork(trained=trained)), module.network(inputs))
    if settings.method == "bernoulli":
        draws = [reader.masks(LearnedMasks(trained=trained, draw=draw)) for draw in (0, 1, 0)]
        assert_same_masks(draws[0], draws[2])
        assert any(not torch.equal(draws[0][name], draws[1][name]) for name in draws[0])
        chance = torch.sigmoid(module.scores.get_parameter("1.weight").detach())
        assert float(draws[0]["1.weight"].float().mean()) == pytest.approx(float(chance.mean()), abs=0.05)


def assert_same_masks(left: Masks, right: Masks) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(mask, right[name]) for name, mask in left.items())


def test_values_are_in_fresh_tensors(finished: tuple[Study, Store]) -> None:
    """Whoever writes into what a value gave changes nothing else."""
    made, store = finished
    reader, dense, ticket = Reader(store, made.sources), jobs(made, "dense")[0], jobs(made, "ticket")[0]
    between = Interpolated(first=dense, second=ticket, share=0)
    for node in (dense.start, dense, ticket.start, Zeros(like=dense), between):
        before = {name: value.clone() for name, value in reader.weights(node).items()}
        for value in reader.weights(node).values():
            value.add_(1)
        assert_same_weights(reader.weights(node), before)


def test_every_value_is_here() -> None:
    """A new kind of weights or masks must come with a test."""
    source = Path(__file__).read_text() + "".join(
        (Path(__file__).parent / name).read_text() for name in ("test_derive.py", "test_pretrained.py")
    )
    values = [name for name, kind in NODES.items() if issubclass(kind, WeightsNode | MasksNode)]
    missing = [name for name in values if f"{name}(" not in source and f"{name}.after(" not in source]
    assert missing == ["Sparsified"]  # in test_restarts.py


def test_given_masks_are_checked_and_kept(tmp_path: Path, reader: Reader) -> None:
    """Masks of a file are those of its digest; once read the store has them, and the file may go."""
    path, model = tmp_path / "masks.safetensors", initial().spec
    shape = reader.skeleton(model).get_parameter("3.weight").shape
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[0] = True
    save_file({"3.weight": mask}, path)
    digest = masks_digest(path)
    node = Given(model=model, digest=digest, density=0.1)
    reader.sources.weights[digest] = path
    assert torch.equal(reader.masks(node)["3.weight"], mask)
    path.unlink()
    assert torch.equal(reader.masks(node)["3.weight"], mask)
    module = reader.skeleton(model)
    for tensors, words in (
        ({"3.weight": torch.full(shape, 0.5)}, "is no mask: it holds other values than 0 and 1"),
        ({"other.weight": mask}, "the model has no parameter 'other.weight'"),
        ({"3.weight": mask[1:]}, r"the mask of '3.weight' is \["),
    ):
        save_file(tensors, path)
        with pytest.raises(ValueError, match=words):
            read_masks_file(path, module)
    with pytest.raises(ValueError, match="has changed since the study began"):
        read_masks_file(path, module, digest)
