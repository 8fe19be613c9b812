"""Training by the user's own function: masks hold, rewind points are taken, and the order is that of the engines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trainings import (
    FolderJournal,
    assert_same_bits,
    classification,
    digits,
    member,
    run,
    same_bits,
    short_training,
    small_net,
)

from lth.config import Function, TaskSpec, Training
from lth.training import Interrupted, Member, Outcome, Where
from lth.training.engines import choose_engine
from lth.training.engines.torch_engine import TorchEngine
from lth.training.engines.yours import Run
from lth.training.history import Best

ByUser = Callable[[nn.Module, Run], None]


def own_training(**fields: Any) -> Training:
    """A short training by a function of the user's."""
    return short_training(**{"function": Function(name="mine:loop"), "optimizer": "sgd", "lr": 0.1, **fields})


def train_by(function: ByUser, one: Member, training: Training | None = None, **more: Any) -> Outcome:
    """One member, trained by this function."""
    return run([one], small_net(), training or own_training(), function=function, **more)[0]


def loop(network: nn.Module, run: Run, *, weight_decay: float = 0.0) -> None:
    """As the documentation shows it."""
    optimizer = torch.optim.SGD(network.parameters(), lr=run.lr, momentum=0.9, weight_decay=weight_decay)
    run.guard(optimizer)
    for batch in run.batches():
        optimizer.zero_grad()
        F.cross_entropy(network(batch["x"]), batch["y"]).backward()
        optimizer.step()
        run.step()


def without_guard(network: nn.Module, run: Run) -> None:
    """The loop, with the guard forgotten."""
    run.guard = lambda optimizer: None  # type: ignore[method-assign]
    loop(network, run)


def without_steps(network: nn.Module, run: Run) -> None:
    """The loop, with its steps uncounted."""
    run.step = lambda **values: None  # type: ignore[method-assign]
    loop(network, run)


@pytest.mark.parametrize("first_step", [0, 5])
@pytest.mark.parametrize("density", [None, 0.5])
def test_the_same_loop_is_the_torch_engine(density: float | None, first_step: int) -> None:
    """By the same batches in the same order, under the same masks, from the same step on."""
    one = member(small_net, 1, density=density)
    fields = {"optimizer_options": {"momentum": 0.9}, "first_step": first_step}
    by_engine = run([one], small_net(), own_training(**fields, function=None))[0]
    by_user = train_by(loop, one, own_training(**fields))
    assert (by_user.engine, by_user.signature, by_user.num_steps) == ("yours", "yours", 12 - first_step)
    for name, value in by_engine.weights.items():
        torch.testing.assert_close(by_user.weights[name], value, rtol=0, atol=1e-6)
    assert by_user.history.end == pytest.approx(by_engine.history.end, abs=1e-6)
    assert "test/accuracy of class 3" in by_user.history.end


@pytest.mark.parametrize("steps", [60, 7])
def test_batches_are_those_of_the_torch_engine(steps: int) -> None:
    """Across an epoch's end, which comes after 48 steps, and from a rewind step on."""
    one, seen = member(small_net, 1), []
    training = own_training(steps=steps, first_step=steps // 2)

    def noting(network: nn.Module, run: Run) -> None:
        seen.extend(run.batches())
        run.step()

    train_by(noting, one, training)
    engine = TorchEngine([one], small_net(), digits(), training, Where())
    for step, batch in enumerate(seen, start=training.first_step):
        wanted = engine._batch(step)
        assert batch.keys() == wanted.keys()
        assert all(torch.equal(value, wanted[name]) for name, value in batch.items())
    assert len(seen) == steps - training.first_step


@pytest.mark.parametrize("fill", [0.0, 0.25])
def test_the_guard_keeps_pruned_weights(fill: float) -> None:
    """Under momentum and decay, at the value that they start with."""
    one = member(small_net, 1, fill=fill)
    outcome = train_by(lambda network, run: loop(network, run, weight_decay=0.1), one)
    for name, mask in one.masks.items():
        assert same_bits(outcome.weights[name][~mask], one.start[name][~mask])
        assert (outcome.weights[name][mask] != one.start[name][mask]).float().mean() > 0.3


def test_without_the_guard_it_is_said_what_to_do() -> None:
    message = r"your function 'mine:loop' moved pruned weights of '1\.weight': call run\.guard\(optimizer\) before its "
    with pytest.raises(ValueError, match=message) as caught:
        train_by(without_guard, member(small_net, 1))
    assert "\n" not in str(caught.value)
    train_by(without_guard, member(small_net, 1, density=None))  # where nothing is pruned there is nothing to guard


def test_members_train_one_after_the_other_and_apart() -> None:
    """What the guard of one hangs on its network does not reach the next."""
    members = [member(small_net, seed, density=density) for seed, density in ((1, 0.3), (2, None), (3, 0.8))]
    outcomes = run(members, small_net(), own_training(), function=loop)
    for each, outcome in zip(members, outcomes, strict=True):
        assert_same_bits(outcome.weights, train_by(loop, each).weights)


def test_rewind_points_are_the_states_of_their_steps(tmp_path: Path) -> None:
    one, journal = member(small_net, 1), FolderJournal(tmp_path)
    outcome = train_by(loop, one, checkpoints=(4, 12), journal=journal)
    assert journal.kept.keys() == {(one.key, 4), (one.key, 12)}
    assert_same_bits(journal.kept[one.key, 12], outcome.weights)
    assert_same_bits(journal.kept[one.key, 4], train_by(loop, one, own_training(steps=4)).weights)


def test_rewind_points_that_were_not_taken_are_an_error(tmp_path: Path) -> None:
    one = member(small_net, 1)
    message = (
        r"'mine:loop' counted 0 steps with run\.step\(\), and the state after step 4 is wanted: call run\.step\(\)"
    )
    with pytest.raises(ValueError, match=message):
        train_by(without_steps, one, checkpoints=(4,), journal=FolderJournal(tmp_path))
    with pytest.warns(UserWarning, match=r"'mine:loop' counted no steps, so results show none.*run\.step\(\)"):
        outcome = train_by(without_steps, one)
    assert (outcome.num_steps, outcome.history.counted) == (0, None)
    assert train_by(loop, one).history.counted == 12


def test_an_interrupted_training_starts_anew(tmp_path: Path) -> None:
    """No snapshot is written, and the second run ends where one that was never stopped does."""
    one = member(small_net, 1)
    with pytest.raises(Interrupted):
        train_by(loop, one, journal=FolderJournal(tmp_path, stop_at=10))
    assert not list(tmp_path.iterdir())
    again = train_by(loop, one, journal=FolderJournal(tmp_path))
    assert again.num_steps == 12
    assert_same_bits(again.weights, train_by(loop, one).weights)


def test_draws_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    def drawing(network: nn.Module, run: Run) -> None:
        with torch.no_grad():
            network.get_parameter("3.bias").copy_(torch.rand(10))
        run.step()

    one, modules = member(small_net, 1), [small_net(), small_net()]
    before = torch.get_rng_state()
    ends = [run([one], module, own_training(), function=drawing)[0].weights["3.bias"] for module in modules]
    assert torch.equal(*ends)
    assert torch.equal(torch.get_rng_state(), before)


def test_values_of_steps_are_a_history() -> None:
    """Of metrics that come and go, and of the best step among them: the first of equals."""
    losses = {3: 2.0, 6: 1.0, 9: 1.0, 12: float("nan")}

    def measuring(network: nn.Module, run: Run) -> None:
        for step in range(1, 13):
            values = {"loss": losses[step]} if step in losses else {}
            run.step(**values, **({"extra": 0.5} if step in (6, 7) else {}))

    history = train_by(measuring, member(small_net, 1)).history
    assert history.steps == [3, 6, 7, 9, 12]
    assert history.curves == {
        "validation/loss": [2.0, 1.0, None, 1.0, None], "validation/extra": [None, 0.5, 0.5, None, None],
    }  # fmt: skip
    assert history.best == Best(step=6, value=1.0, by="validation/loss")
    assert history.document()["steps"] == history.steps


def own_task(better: str) -> TaskSpec:
    return TaskSpec(name="yours", arguments={"evaluate": "mine:score", "metrics_better": {"score": better}})


@pytest.mark.parametrize(("better", "best"), [("higher", 2), ("lower", 4)])
def test_a_task_that_the_user_measures(better: str, best: int) -> None:
    """In evaluation mode, of the end; and the best step is the one in the metric's own direction."""
    modes: list[bool] = []

    def score(network: nn.Module) -> dict[str, Tensor | float]:
        modes.append(network.training)
        return {"score": network.get_parameter("3.bias").sum(), "unwanted": 1.0}

    def measuring(network: nn.Module, run: Run) -> None:
        assert network.training
        for value in (1.0, 3.0, 2.0, 0.5, 3.0):
            run.step(score=value)

    one = member(small_net, 1)
    history = train_by(measuring, one, own_training(task=own_task(better)), evaluate=score).history
    assert history.end == {"test/score": pytest.approx(float(one.start["3.bias"].sum()))}
    assert modes == [False]
    assert history.best == Best(step=best, value=3.0 if better == "higher" else 0.5, by="validation/score")


def test_what_the_user_measures_is_checked() -> None:
    one, training = member(small_net, 1), own_training(task=own_task("higher"))
    with pytest.raises(ValueError, match=r"your function 'mine:score' returned 0\.5; a dict with score is needed"):
        train_by(loop, one, training, evaluate=lambda network: 0.5)
    with pytest.raises(ValueError, match=r"your function 'mine:score' is not at hand: import it"):
        train_by(loop, one, training)
    with pytest.raises(ValueError, match=r"your training function 'mine:loop' is not at hand: import it"):
        run([one], small_net(), training)


def test_a_network_that_is_not_finite_has_diverged() -> None:
    """Nothing is kept of its measurements."""

    def diverging(network: nn.Module, run: Run) -> None:
        run.step()
        with torch.no_grad():
            network.get_parameter("3.bias")[0] = float("nan")

    one, task = member(small_net, 1), own_task("higher")
    for training, evaluate in (
        (own_training(), None),
        (own_training(task=task), lambda network: {"score": network.get_parameter("3.bias").sum()}),
    ):
        history = train_by(diverging, one, training, evaluate=evaluate).history
        assert (history.diverged_at, history.end) == (1, {})


def test_engines_have_no_use_for_a_function() -> None:
    training, device = own_training(task=classification()), torch.device("cpu")
    choice = choose_engine("auto", small_net(), training, device=device)
    assert (choice.name, choice.reason) == ("yours", "mine:loop")
    with pytest.raises(ValueError, match="engine 'torch' has no use for your function 'mine:loop': leave one of the"):
        choose_engine("torch", small_net(), training, device=device)
