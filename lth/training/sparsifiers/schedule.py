"""The planner's table of a pruning within training: what is done to the masks, and after which step."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from lth.config.sparsifier import Sparsifier

Action = Literal["draw", "prune", "regrow", "zero", "noise", "harden"]

WORDS: dict[Action, str] = {
    "draw": "draw random masks",
    "prune": "prune the lowest weights",
    "regrow": "drop and regrow {fraction:.1%} of each layer's kept weights",
    "zero": "zero the lowest weights, which train on",
    "noise": "add noise to the lowest weights, which rest for an epoch",
    "harden": "prune the lowest weights for good",
}


@dataclass(frozen=True, slots=True)
class Application:
    """One change of the masks.

    Attributes:
        step: optimizer updates done before it.
        sparsity: fraction of the prunable weights that is pruned after it.
        action: what is done.
        fraction: share of a layer's kept weights that `regrow` exchanges.
    """

    step: int
    sparsity: float
    action: Action
    fraction: float = 0.0

    @property
    def words(self) -> str:
        """What is done, for people."""
        return WORDS[self.action].format(fraction=self.fraction)


def plan_sparsifier(
    settings: Sparsifier, steps: int, *, first_step: int = 0, steps_per_epoch: int | None = None
) -> list[Application]:
    """Every change of the masks in one training, in order: what the engine does, and a CLI can print before it.

    Changes come at equal distances after `begin`, the last one at `end` and exactly on the target, also where the
    steps between them are no multiple of the distance. With fewer steps than applications there is one a step, and
    always at least one. `set` and `rigl` are on their target from the first step on; their exchanges begin at `begin`
    and stop before `end`, where the cosine has fallen to zero. `noise` has one change at `begin`, one at every start
    of an epoch, and the last at `end`.

    Args:
        settings: what is asked for; `begin` and `end` are shares of the steps from `first_step` to `steps`.
        steps: where the training ends, in optimizer steps.
        first_step: where it starts.
        steps_per_epoch: needed by method `noise` alone.
    Raises:
        ValueError: if the training has no steps, or `noise` does not know the length of an epoch.

    Source: Zhu & Gupta 2017, arXiv:1710.01878 (cubic curve); Evci et al. 2020, arXiv:1911.11134 (cosine of `rigl`).
    """
    length = steps - first_step
    if length < 1:
        raise ValueError(f"a training from step {first_step} to {steps} has no steps to prune in: it needs at least 1")
    begin, end = (first_step + int(share * length + 0.5) for share in (settings.begin, settings.end))
    target = 1 - settings.density
    if settings.method == "noise":
        if steps_per_epoch is None:
            raise ValueError("method 'noise' changes its masks every epoch: steps_per_epoch must be given")
        epochs = range(begin + steps_per_epoch - begin % steps_per_epoch, end, steps_per_epoch)
        noisy = [begin, *epochs] if begin < end else []
        return [*(Application(step, target, "noise") for step in noisy), Application(end, target, "harden")]
    if settings.method in ("set", "rigl"):
        exchanges = [
            Application(step, target, "regrow", settings.update_fraction * _cosine(step - first_step, end - first_step))
            for step in _spread(max(begin, first_step + 1), end, settings.applications)[:-1]
        ]
        return [Application(first_step, target, "draw"), *exchanges]
    rises = _spread(begin, end, settings.applications)[1:] or [end]
    actions: tuple[Action, Action] = ("zero", "harden") if settings.method == "soft" else ("prune", "prune")
    return [
        Application(step, target * _risen(settings.curve, index / len(rises)), actions[index == len(rises)])
        for index, step in enumerate(rises, start=1)
    ]


def applications(
    settings: Sparsifier, steps: int, *, first_step: int = 0, steps_per_epoch: int | None = None
) -> list[tuple[int, float]]:
    """(step, sparsity after it) of every change of the masks; arguments and errors as in `plan_sparsifier`."""
    plan = plan_sparsifier(settings, steps, first_step=first_step, steps_per_epoch=steps_per_epoch)
    return [(each.step, each.sparsity) for each in plan]


def _spread(begin: int, end: int, count: int) -> list[int]:
    """`count` equal distances from begin to end, both included; fewer where there are fewer steps, [end] for none."""
    count = min(count, end - begin)
    return [begin + index * (end - begin) // count for index in range(count + 1)] if count > 0 else [end]


def _risen(curve: str, progress: float) -> float:
    """The part of the target sparsity that is reached; exactly 1 at the end."""
    return 1 - (1 - progress) ** 3 if curve == "cubic" else progress


def _cosine(step: int, end: int) -> float:
    return (1 + cos(pi * step / end)) / 2
