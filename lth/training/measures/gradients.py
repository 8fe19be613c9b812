"""What the loss would do with pruned weights."""

from lth.training.measures.measure import View


def zero_grad_norm(view: View) -> dict[str, float]:
    """Return, layer by layer, the root mean square of the gradient of pruned weights, at the last step, before masking.

    A layer of which nothing is pruned has no value.
    """
    values = {}
    for name, gradient in view.gradients.items():
        pruned = ~view.kept[name]
        count = int(pruned.sum())
        if count:
            values[f"zero_grad_norm/{name}"] = float((gradient * pruned).double().square().sum() / count) ** 0.5
    return values
