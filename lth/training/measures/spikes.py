"""The strongest spike of a transformer's MLPs: whether a super weight is being born."""

from torch import nn

from lth.superweights.projections import down_projections
from lth.superweights.top import strongest
from lth.training.measures.measure import View


def super_weights(view: View) -> dict[str, float]:
    """Return the strongest spike on a few validation windows, and the largest values of all down-projections.

    `super_weights/strength` is the largest |input * weight| over the median channel's largest |output| of its matrix,
    beside block, output and input channel of that weight, its value and its share of the output; `max_input`,
    `max_output` and `over_channels` are the largest |input|, |output|, and |output| over the median channel's of its
    matrix. Nothing where an activation is not finite.
    """
    assert view.module is not None
    assert view.run is not None
    found = strongest(down_projections(view.module), view.run)
    if found is None:
        return {}
    top = found.top
    values = {
        "strength": top.strength,
        "share": top.share,
        "weight": top.weight,
        "block": top.coordinate.block,
        "output": top.coordinate.output,
        "input": top.coordinate.input,
        "max_input": found.max_input,
        "max_output": found.max_output,
        "over_channels": found.over_channels,
    }
    return {f"super_weights/{name}": float(value) for name, value in values.items()}


def check_transformer(module: nn.Module) -> None:
    """Raise a ValueError if the down-projections of a network are not known."""
    down_projections(module)
