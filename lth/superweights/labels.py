"""Interventions in few words, as they stand beside points and in tables."""

from lth.superweights.interventions import Intervention


def label_of(change: Intervention) -> str:
    """Return what an intervention does in few words, the same for all draws of one kind."""
    if change.kind == "none":
        return "as it is"
    first, *others = change.coordinates
    does = "zeroed" if change.factor == 0 else f"times {change.factor:g}"
    several = "s" * (change.count != 1)
    spared = f" but for {' and '.join(map(str, others))}" if others else ""
    labels = {
        "scale": f"with {' and '.join(map(str, others))} {does}" if others else does,
        "row": f"row {first.output} {does}",
        "row-without": f"rest of row {first.output}{spared} {does}",
        "column": f"neuron {first.input} {does}",
        "column-without": f"rest of neuron {first.input}{spared} {does}",
        "restore": f"{does}, activation put back",
        "constant": f"{does}, output held constant",
        "random": f"{change.count:,} random weight{several} {does}",
        "largest": f"{change.count:,} largest other{several} {does}",
        "largest-rows": f"{change.count:,} row{several} of largest norm {does}",
        "random-rows": f"{change.count:,} random row{several} {does}",
        "random-columns": f"{change.count:,} random neuron{several} {does}",
    }
    return labels.get(change.kind) or change.words()
