"""Settings at a share of a paper's training length: steps, milestones, warm-up and rewind steps shrink alike."""

from typing import Any

from lth.studies.cifar import MOMENTUM_SGD


def its(steps: int, scale: float, least: int = 1) -> str:
    """Return a number of steps at a scale, as a duration."""
    return f"{max(least, round(steps * scale))}it"


def length(steps: int, scale: float, evaluate_every: int = 100, least: int = 100) -> dict[str, Any]:
    """Return the settings of a training's length at a scale.

    Args:
        steps: of the paper.
        scale: share of them.
        evaluate_every: steps between evaluations, at full scale.
        least: steps below which no training goes.
    """
    return {"duration": its(steps, scale, least), "evaluate_every": max(10, round(evaluate_every * scale))}


def momentum_sgd(
    steps: int, scale: float, *, lr: float, batch_size: int, milestones: tuple[int, ...], warmup: int = 0, **more: Any
) -> dict[str, Any]:
    """Return the usual recipe of batch-norm networks on CIFAR-10, at a scale.

    SGD with momentum 0.9, a rate that falls by 10 at each milestone, decay 1e-4 (or as given), crops of padded images
    and flips. Where a paper names none of these, they are the defaults of its authors' later programs (open_lth).

    Args:
        steps: of the paper.
        scale: share of them.
        lr: learning rate.
        batch_size: examples a step.
        milestones: steps at which the rate falls.
        warmup: steps in which it rises from 0.
        **more: further settings.
    """
    least = 100
    factor = max(scale, least / steps)  # of milestones, too, so that they lie within the training
    return {
        **length(steps, scale, evaluate_every=steps // 100, least=least),
        **MOMENTUM_SGD,
        "lr": lr,
        "batch_size": batch_size,
        "lr_milestones": tuple(its(step, factor) for step in milestones),
        "warmup": its(warmup, factor, least=0),
        "weight_decay": 1e-4,
        "validation": 5000,
        **more,
    }
