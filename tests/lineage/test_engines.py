"""Which engine trains: it is no part of a key, it is recorded, and what one has begun it finishes."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import Notes, built, interrupt, jobs, study, weights_in
from torch import nn

from lth.lineage import BuildError, Checkpoint, Execution, Reader, Store, build, plan
from lth.lineage.engines import engine_to_use
from lth.models.conv_frankle import FrankleConv
from lth.training import Interrupted
from lth.training.engines.sparse import steps

AUTO = Execution(workers=0, snapshot_seconds=0.0)
TORCH = Execution(workers=0, snapshot_seconds=0.0, engine="torch")


def small_convnet() -> nn.Module:
    """A network that is no multilayer perceptron."""
    return nn.Sequential(nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 10))


def chosen(made: Any, store: Store, *begun_by: list[str], engine: str, is_forced: bool = False) -> str:
    """What `engine_to_use` says of the first trainings of a study."""
    works = plan(made.targets, store).works[: len(begun_by)]
    reader = Reader(store, made.sources)
    return engine_to_use(works, begun_by, reader, engine=engine, is_forced=is_forced, device="cpu")


def test_no_key_depends_on_it_and_it_is_recorded(tmp_path: Path) -> None:
    made = study(levels=1, rewind_to="5it")
    store = built(tmp_path, made, TORCH)
    assert plan(made.targets, store).works == ()
    checkpoint = Checkpoint(trained=jobs(made, "dense")[0], step=5)
    for key in (*(node.key for node in made.targets), checkpoint.key):
        assert store.manifest(key)["provenance"]["engine"] == "torch"


def test_what_one_began_it_finishes(tmp_path: Path) -> None:
    """By `auto`, whatever that would choose now."""
    made, store = study(levels=1, controls=()), Store(tmp_path)
    with pytest.raises(Interrupted):
        build(made.targets, store, made.sources, TORCH, Notes(12, interrupt))
    assert build(made.targets, store, made.sources, AUTO) == {}
    provenance = store.manifest(jobs(made, "dense")[0].key)["provenance"]
    assert provenance["engine"] == "torch"
    assert 0 < provenance["steps"] < 30


def test_the_rule(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    assert chosen(made, store, [], engine="sparse") == "sparse"
    assert chosen(made, store, ["torch/cpu/1"], engine="sparse") == "torch"
    assert chosen(made, store, ["torch/cpu/1", "sparse/cpu/1"], engine="sparse") == "torch"
    assert chosen(made, store, ["torch/cpu/1/onednn"], engine="sparse") == "torch"
    for elsewhere in ("torch/cuda/1", "torch/cpu/4-vmap", ""):  # on a GPU, in a stack, or damaged: it cannot go on here
        assert chosen(made, store, [elsewhere], engine="sparse") == "sparse"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen(made, store, ["torch/cpu/1"], engine="torch", is_forced=True) == "torch"
    with pytest.warns(UserWarning, match="by the torch engine was stopped, and starts over by the sparse engine"):
        assert chosen(made, store, ["torch/cpu/1"], engine="sparse", is_forced=True) == "sparse"


def test_members_of_a_stack_must_share_a_snapshot(tmp_path: Path) -> None:
    made, store = study(replicates=2), Store(tmp_path)
    both = ["torch/cpu/2-vmap", "torch/cpu/1"]
    assert chosen(made, store, both, both[:1], engine="sparse") == "torch"
    assert chosen(made, store, both, both[1:], engine="sparse") == "sparse"


def test_an_engine_that_cannot_go_on_is_left(tmp_path: Path) -> None:
    made, store = study(small_convnet), Store(tmp_path)
    with pytest.warns(UserWarning, match="by the sparse engine goes to the torch engine, which starts over: here"):
        assert chosen(made, store, ["sparse/cpu/1"], engine="torch") == "torch"


def test_a_late_checkpoint_is_taken_by_the_engine_that_finished(tmp_path: Path) -> None:
    """Else it would not lie on the way to the weights that the masks were chosen by."""
    store = built(tmp_path, study(levels=1, controls=()), TORCH)
    later = study(levels=1, controls=(), rewind_to="5it")
    assert not plan(later.targets, store).works[0].finish
    assert chosen(later, store, [], engine="sparse") == "torch"
    assert chosen(later, store, ["sparse/cpu/1"], engine="sparse") == "torch"
    with pytest.warns(UserWarning, match="by the torch engine took no checkpoint on its way, and one is taken by"):
        assert chosen(later, store, [], engine="sparse", is_forced=True) == "sparse"
    assert build(later.targets, store, later.sources, AUTO) == {}
    checkpoint = Checkpoint(trained=jobs(later, "dense")[0], step=5)
    assert store.manifest(checkpoint.key)["provenance"]["engine"] == "torch"


def small_conv2() -> nn.Module:
    """A convolution network that the sparse engine knows."""
    return FrankleConv((8, 8))


def test_convolutions_change_the_engine_where_half_is_pruned(tmp_path: Path) -> None:
    """After 60 % at level 1, which perceptrons would train alike with 36 %."""
    made = study(small_conv2, rate=0.4, controls=())
    works = plan(made.targets, Store(tmp_path)).works
    choices = AUTO.choices((work.job for work in works), made.sources)
    engines = [choices[jobs(made, arm)[index].key].name for arm, index in (("dense", 0), ("ticket", 0), ("ticket", 1))]
    assert engines == ["torch", "torch", "sparse"]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_engine_that_cannot_train_it_is_an_error_before_anything_starts(tmp_path: Path, workers: int) -> None:
    made, notes = study(small_convnet), Notes()
    with pytest.raises(ValueError, match="sparse") as error:
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=workers, engine="sparse"), notes)
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, BuildError)
    assert notes.started_keys == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="unknown engine 'dense'"):
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=workers, engine="dense"), notes)


def test_workers_use_the_engine_they_are_told(tmp_path: Path) -> None:
    made = study(small_convnet, levels=1, controls=())
    store = built(tmp_path, made, Execution(workers=1))
    provenance = [store.manifest(node.key)["provenance"] for node in made.targets]
    assert [(each["engine"], each["threads"]) for each in provenance] == [("torch", 1)] * 2
    here = built(tmp_path / "here", made, Execution(workers=0, engine="torch"))
    for node in made.targets:
        one, other = weights_in(store, node), weights_in(here, node)
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_waiting_for_the_compiler_is_said(is_compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "is_compiled", lambda: is_compiled)
    made, notes = study(replicates=1, levels=1, controls=(), duration="4it"), Notes()
    build(made.targets, Store(tmp_path), made.sources, Execution(workers=0, engine="auto"), notes)
    said = "the sparse engine is compiled for this processor: ten seconds to a minute, once"
    assert notes.texts == ([] if is_compiled else [said])
    build(made.targets, Store(tmp_path), made.sources, Execution(workers=0, engine="auto"), again := Notes())
    assert again.texts == []  # nothing is to be trained
