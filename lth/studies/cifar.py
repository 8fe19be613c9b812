"""What presets on CIFAR-10 share: the usual recipe of residual networks there."""

from typing import Any

MOMENTUM_SGD: dict[str, Any] = {
    "optimizer": "sgd",
    "optimizer_options": {"momentum": 0.9},
    "lr_decay": "step",
    "augment": ("pad-crop", "flip"),
}
"""SGD with momentum, drops of the rate by 10, shifts and flips."""


def sgd_on_cifar10(**settings: Any) -> dict[str, Any]:
    """Return settings by flat names: SGD with momentum 0.9 at 0.1, batches of 128, drops by 10, shifts and flips.

    Weights are ranked together, as in the papers that use it.

    Args:
        **settings: further settings; they replace the usual ones.

    Source: He et al. 2016, arXiv:1512.03385, Section 4.2.
    """
    usual: dict[str, Any] = {
        "data": "cifar-10",
        "scope": "global",
        **MOMENTUM_SGD,
        "lr": 0.1,
        "batch_size": 128,
        "evaluate_every": 1000,
        "replicates": 3,
    }
    return usual | settings


def frankle_on_cifar10(**settings: Any) -> dict[str, Any]:
    """Return the same as in Frankle et al. 2020, arXiv:1912.05671, Table 1: 63,000 steps, drops at 32,000 and 48,000.

    Weight decay is that of the authors' public code, 1e-4.
    """
    length = {"duration": "63000it", "lr_milestones": "32000it,48000it", "weight_decay": 1e-4}
    return sgd_on_cifar10(**length | settings)
