"""How weights are drawn whose outputs go through a ReLU."""

from collections.abc import Callable

from torch import Tensor, nn

from lth.config.choices import Table


def _draw_he(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def _draw_glorot(weight: Tensor) -> None:
    nn.init.xavier_normal_(weight)


DRAWS: Table[Callable[[Tensor], None]] = Table("init", {"he": _draw_he, "glorot": _draw_glorot})
"""Normal, by fan-in: He et al. 2015, arXiv:1502.01852; or by fan-in and fan-out: Glorot & Bengio 2010."""
