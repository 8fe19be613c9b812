"""The optimizers that the sparse engine knows, read from a training."""

import inspect
from typing import Any, NamedTuple

from lth.config import Training
from lth.training.optimizers import OPTIMIZERS

SGD, ADAM, ADAMW = 0, 1, 2

KINDS = {"sgd": SGD, "adam": ADAM, "adamw": ADAMW}

WITHOUT_EFFECT = {"foreach", "fused", "capturable", "differentiable"}
"""Options that say how PyTorch computes, not what."""


class UpdateRule(NamedTuple):
    """An optimizer's settings.

    Attributes:
        kind: SGD, ADAM or ADAMW.
        beta1, beta2, eps: of Adam.
        momentum, dampening, nesterov: of SGD.
        weight_decay: as the optimizer means it.
        clip: largest norm of the gradient; 0 for none.
    """

    kind: int
    beta1: float
    beta2: float
    eps: float
    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float
    clip: float


def update_rule_of(training: Training) -> UpdateRule:
    """Return the training's optimizer, its options at PyTorch's defaults where it has none.

    Raises:
        ValueError: if the sparse engine does not know the optimizer or one of its options.
    """
    if training.optimizer not in KINDS:
        raise ValueError(f"optimizer {training.optimizer!r} is none of {', '.join(KINDS)}")
    signature = inspect.signature(OPTIMIZERS[training.optimizer]).parameters
    defaults = {name: each.default for name, each in signature.items() if each.default is not inspect.Parameter.empty}
    options: dict[str, Any] = defaults | training.optimizer_options
    known = {"lr", "weight_decay", "betas", "eps", "momentum", "dampening", "nesterov"} | WITHOUT_EFFECT
    for name, value in options.items():
        if name not in known and value != defaults.get(name):
            raise ValueError(f"optimizer option {name}={value!r} is not one of {', '.join(sorted(known))}")
    beta1, beta2 = options.get("betas", (0.0, 0.0))
    return UpdateRule(
        kind=KINDS[training.optimizer],
        beta1=float(beta1),
        beta2=float(beta2),
        eps=float(options.get("eps", 0.0)),
        momentum=float(options.get("momentum", 0.0)),
        dampening=float(options.get("dampening", 0.0)),
        nesterov=bool(options.get("nesterov", False)),
        weight_decay=training.weight_decay,
        clip=training.clip or 0.0,
    )
