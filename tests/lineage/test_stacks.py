"""Networks in one program: a stack that does not fit into memory says so, and what cannot be stacked goes one by one.

The heavy network raises PyTorch's own error where too many members are in one program: PyTorch tells a function under
`vmap` how many there are.
"""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import assert_same_content, built, content, files_in, study
from torch import Tensor, nn

from lth.lineage import BuildError, Execution, Store, build

MOST = 10**9
"""Members that fit."""


class Weighed(torch.autograd.Function):
    """Passes its input on, if that many members fit."""

    generate_vmap_rule = False

    @staticmethod
    def forward(inputs: Tensor) -> Tensor:
        weigh(1)
        return inputs.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], inputs: Tensor) -> tuple[Tensor, int | None]:
        weigh(info.batch_size)
        return inputs.clone(), in_dims[0]


def weigh(size: int) -> None:
    """Raises what PyTorch raises, if so many members are too many."""
    if size > MOST:
        raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} GiB")


class Heavy(nn.Module):
    """64-16-10, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = self.hidden(inputs.flatten(1)).relu()
        return self.output(Weighed.apply(hidden))


class Recurrent(nn.Module):
    """Rows of an image as a sequence, read by a layer for which `vmap` has no rule."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.output = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(self.gru(inputs)[0][:, -1])


def stacked(population: int) -> Execution:
    """Here, that many at most in one program."""
    return Execution(workers=0, population=population, engine="torch")


@pytest.mark.parametrize(
    ("most", "population", "advice"),
    [(1, 2, "take a --population below 2, or"), (0, 1, "cut batches with --micro-batch")],
)
def test_too_many_for_the_memory_is_an_error_in_one_line(
    most: int, population: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, store = study(Heavy, replicates=2, levels=1, controls=(), duration="10it"), Store(tmp_path)
    monkeypatch.setattr(f"{__name__}.MOST", most)
    with pytest.raises(BuildError, match=r"not fit into the memory of the device \(CUDA out of memory.*\)") as error:
        build(made.targets, store, made.sources, stacked(population))
    assert advice in str(error.value)
    assert "\n" not in str(error.value)
    assert not any("lease.json" in name for name in files_in(store.root))
    monkeypatch.setattr(f"{__name__}.MOST", 1)
    assert build(made.targets, store, made.sources, stacked(1)) == {}


def test_what_cannot_be_stacked_is_trained_one_after_the_other(tmp_path: Path) -> None:
    made = study(Recurrent, replicates=2, levels=1, controls=(), duration="10it")
    alone = built(tmp_path / "alone", made, stacked(1))
    store = Store(tmp_path / "stacked")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert build(made.targets, store, made.sources, stacked(4)) == {}
    said = [str(each.message) for each in caught if "one after the other" in str(each.message)]
    assert len(said) == 1
    assert "\n" not in said[0]
    assert {store.manifest(key)["provenance"]["population"] for key in content(store, *made.targets)} == {1}
    assert_same_content(store, alone, *made.targets)


def test_a_processor_stacks_nothing_unless_asked() -> None:
    assert (Execution(workers=0).size, Execution(workers=2, population=4).size) == (1, 1)
    assert (Execution(workers=0, population=4).size, Execution(workers=0, device="cuda").size) == (4, 8)
