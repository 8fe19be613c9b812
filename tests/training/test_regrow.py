"""Drop and regrow: counts conserved per layer, the smallest go, the highest growth scores come."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lth.training.sparsifiers.regrow import exchange, lowest


def test_by_hand() -> None:
    """Of four kept weights half go: 0.1 and -0.2. The highest growth scores among all not kept are 9 and 7."""
    weights = {"a": torch.tensor([[0.1, 3.0, 0.0], [-0.2, -2.0, 0.0]])}
    masks = {"a": torch.tensor([[True, True, False], [True, True, False]])}
    growth = {"a": torch.tensor([[9.0, 99.0, 5.0], [1.0, 99.0, 7.0]])}
    after = exchange(weights, masks, 0.5, growth)
    assert after["a"].tolist() == [[True, True, False], [False, True, True]]
    assert masks["a"].tolist() == [[True, True, False], [True, True, False]]


def test_ties_go_to_the_lower_index() -> None:
    weights, masks = {"a": torch.ones(6)}, {"a": torch.tensor([True, True, True, True, False, False])}
    after = exchange(weights, masks, 0.5, {"a": torch.zeros(6)})
    assert after["a"].tolist() == [True, True, True, True, False, False]  # those dropped grow again first
    after = exchange(weights, masks, 0.5, {"a": torch.tensor([-1.0, -1.0, 0, 0, 0, 0])})
    assert after["a"].tolist() == [False, False, True, True, True, True]
    assert lowest(torch.tensor([2.0, 1.0, 1.0, 1.0]), torch.tensor([True, True, False, True]), 2).tolist() == [1, 3]


def test_a_dense_layer_rests() -> None:
    masks = {"a": torch.ones(4, dtype=torch.bool)}
    assert exchange({"a": torch.randn(4)}, masks, 1.0, {"a": torch.randn(4)})["a"].all()


@given(
    seed=st.integers(0, 2**31), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3), fraction=st.floats(0, 1),
    density=st.floats(0, 1), levels=st.integers(1, 5),
)  # fmt: skip
def test_counts_are_conserved_and_choices_are_extreme(
    seed: int, sizes: list[int], fraction: float, density: float, levels: int
) -> None:
    """Also where many values are equal (`levels` different ones)."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int) -> torch.Tensor:
        return torch.randint(-levels, levels + 1, (size,), generator=generator).float()

    weights, growth = ({str(index): draw(size) for index, size in enumerate(sizes)} for _ in range(2))
    masks = {name: torch.rand(len(value), generator=generator) < density for name, value in weights.items()}
    after = exchange(weights, masks, fraction, growth)
    for name, mask in masks.items():
        kept = int(mask.sum())
        assert int(after[name].sum()) == kept
        gone, stayed = mask & ~after[name], mask & after[name]
        came, waits = after[name] & ~mask, ~mask & ~after[name]
        assert int(gone.sum()) <= int(fraction * kept + 1e-9)
        if gone.any() and came.any():
            assert growth[name][came].min() >= growth[name][gone].max()
        if came.any() and waits.any():
            assert growth[name][came].min() >= growth[name][waits].max()
        if gone.any() and int(gone.sum()) == int(fraction * kept + 1e-9) and stayed.any():
            assert weights[name].abs()[gone].max() <= weights[name].abs()[stayed].min()
