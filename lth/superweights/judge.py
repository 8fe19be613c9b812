"""Which spikes are candidates for super weights, and why others are not."""

from collections.abc import Sequence

from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Candidate, Maxima, Round, Spike
from lth.superweights.search import Search
from lth.superweights.spikes import Peak, Sight

LEFT = 0.5
"""What share of the earlier contributions to a channel is left at most where a later one cancels them."""


def spikes_of(sight: Sight, prompt: int, median: float, search: Search) -> list[Spike]:
    """Return what meets every limit on a prompt, the largest output first.

    Args:
        sight: of a projection.
        prompt: its number.
        median: of the blocks' largest |output|.
        search: the limits.
    """
    spikes = [
        _spike(sight, prompt, median, input_, output)
        for output in sight.outputs
        for input_ in sight.inputs
        if input_.token == output.token
    ]
    return [spike for spike in spikes if _why_not(spike, search) is None]


def _spike(sight: Sight, prompt: int, median: float, input_: Peak, output: Peak) -> Spike:
    weight, size = sight.weights[output.channel, input_.channel], abs(output.value)
    where = sight.projection
    return Spike(
        coordinate=Coordinate(block=where.block, output=output.channel, input=input_.channel, expert=where.expert),
        prompt=prompt,
        token=output.token,
        input=input_.value,
        weight=weight,
        output=output.value,
        share=abs(input_.value * weight) / size if size else 0.0,
        over_channels=size / sight.channel_median,
        over_blocks=size / median if median else 0.0,
    )


def _why_not(spike: Spike, search: Search) -> str | None:
    """Return why a spike is no candidate on its prompt; None if it is."""
    if spike.over_channels < search.over_channels and spike.over_blocks < search.over_blocks:
        return (
            f"the output is {spike.over_channels:.3g} times the median channel's and {spike.over_blocks:.3g} times the "
            f"median block's: below {search.over_channels:g} and {search.over_blocks:g}"
        )
    if spike.share < search.share:
        return f"the weight makes {spike.share:.2g} of the output: below {search.share:g}"
    return None


def maxima_of(sight: Sight, prompt: int, median: float, search: Search) -> Maxima:
    input_, output = sight.inputs[0], sight.outputs[0]
    size = abs(output.value)
    if input_.token != output.token:
        why = f"the largest input is at token {input_.token}, the largest output at token {output.token}"
    else:
        why = _why_not(_spike(sight, prompt, median, input_, output), search) or "a spike"
    return Maxima(
        prompt=prompt,
        block=sight.projection.block,
        expert=sight.projection.expert,
        inputs=sight.inputs,
        outputs=sight.outputs,
        channel_median=sight.channel_median,
        over_channels=size / sight.channel_median,
        over_blocks=size / median if median else 0.0,
        why=why,
    )


def judged(rounds: Sequence[Round], least: int, before: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Return the candidates of the last round, largest outputs first, and what showed on fewer than `least` prompts.

    Args:
        rounds: so far.
        least: prompts that a candidate shows on.
        before: the candidates of earlier rounds, which are not named again.
    """
    known = {each.coordinate for each in before}
    by_coordinate: dict[Coordinate, list[Spike]] = {}
    for spike in rounds[-1].spikes:
        if spike.coordinate not in known:
            by_coordinate.setdefault(spike.coordinate, []).append(spike)
    new: list[Candidate] = []
    rare: list[Candidate] = []
    for shown in sorted(by_coordinate.values(), key=lambda shown: -abs(shown[0].output)):
        candidate = _candidate(shown, len(rounds), [*before, *new])
        (new if len(shown) >= least else rare).append(candidate)
    return [each.model_copy(update={"cancels": _cancelled(each, new)}) for each in new], rare


def _candidate(shown: Sequence[Spike], number: int, others: Sequence[Candidate]) -> Candidate:
    first = shown[0]
    where = first.coordinate
    same_neuron = (
        each.coordinate
        for each in others
        if (each.coordinate.block, each.coordinate.expert, each.coordinate.input)
        == (where.block, where.expert, where.input)
    )
    return Candidate(
        coordinate=where,
        weight=first.weight,
        round=number,
        prompts=tuple(spike.prompt for spike in shown),
        token=first.token,
        input=first.input,
        output=first.output,
        share=min(spike.share for spike in shown),
        over_channels=min(spike.over_channels for spike in shown),
        over_blocks=min(spike.over_blocks for spike in shown),
        companion_of=next(same_neuron, None),
    )


def _cancelled(candidate: Candidate, others: Sequence[Candidate]) -> Coordinate | None:
    """Return the largest of the earlier contributions that this one takes back, of the same round; None if it does not.

    What earlier blocks wrote into its channel at its token is added up, once a matrix: with it, half is left at most.
    """
    earlier = [
        each
        for each in others
        if each.coordinate.output == candidate.coordinate.output
        and each.coordinate.block < candidate.coordinate.block
        and each.token == candidate.token
    ]
    # An output is its channel's whole value, the same for several weights of one row.
    written = sum({(each.coordinate.block, each.coordinate.expert): each.output for each in earlier}.values())
    if not earlier or abs(written + candidate.output) > LEFT * abs(written):
        return None
    return max(earlier, key=lambda each: each.output * (1 if written > 0 else -1)).coordinate


def order(candidate: Candidate) -> tuple[int, bool, float]:
    """Sort candidates: those of the first round first, companions behind the others, then by |output|."""
    return candidate.round, candidate.companion_of is not None, -abs(candidate.output)
