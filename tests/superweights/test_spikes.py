"""What one forward pass shows, against the same computed by hand from captured activations."""

import pytest
import torch
from networks import network
from torch import Tensor

from lth.superweights.projections import down_projections
from lth.superweights.spikes import Census, look

PROMPT = [3, 14, 15, 9, 2, 6]


def captured(name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs and outputs of the last down-projection, and what its block returns, as the network has them."""
    module = network(name)
    kept: dict[str, Tensor] = {}
    projection = down_projections(module)[-1]
    projection.module.register_forward_hook(lambda _, args, out: kept.update(inputs=args[0][0], outputs=out[0]))
    block = module.get_submodule(projection.block_name)
    block.register_forward_hook(lambda _, args, out: kept.update(hidden=(out[0] if isinstance(out, tuple) else out)[0]))
    with torch.no_grad():
        module(torch.tensor([PROMPT]))
    return kept["inputs"], kept["outputs"], kept["hidden"]


@pytest.mark.parametrize("name", ["lth", "gpt2", "llama", "bert"])
def test_peaks_are_the_largest_of_their_channels(name: str) -> None:
    inputs, outputs, _ = captured(name)
    module = network(name)
    sight = look(module, down_projections(module), PROMPT).sights[-1]
    for values, peaks in ((inputs, sight.inputs), (outputs, sight.outputs)):
        by_channel = values.abs().amax(0)
        expected = sorted(range(len(by_channel)), key=lambda channel: -by_channel[channel])[:3]
        assert [peak.channel for peak in peaks] == expected
        for peak in peaks:
            assert peak.value == values[peak.token, peak.channel]
            assert abs(peak.value) == by_channel[peak.channel]
    assert sight.channel_median == outputs.abs().amax(0).median()
    assert {channels for channels in sight.weights} == {
        (out.channel, in_.channel) for out in sight.outputs for in_ in sight.inputs if out.token == in_.token
    }


def test_massive_activations_exceed_both_limits() -> None:
    module = network("lth")
    with torch.no_grad():
        module.h[1].mlp.c_proj.bias[5] = -300  # type: ignore[union-attr, index]
    massive = look(module, down_projections(module), PROMPT, number=4).massive
    assert {(each.prompt, each.block, each.channel) for each in massive} == {(4, 1, 5), (4, 2, 5)}
    assert all(-301 < each.value < -299 and each.over_median > 1000 for each in massive)
    module = network("lth")
    with torch.no_grad():
        module.h[1].mlp.c_proj.bias[5] = 99  # type: ignore[union-attr, index]
    assert look(module, down_projections(module), PROMPT).massive == []


def test_the_census_takes_the_largest_over_all_prompts() -> None:
    module = network("lth")
    projections = down_projections(module)
    census, longest = Census(), {}
    for prompt in (PROMPT, [7, 8], [9]):
        for sight in look(module, projections, prompt, top=32, census=census).sights:
            for peak in sight.outputs:
                place = sight.projection.block, peak.channel
                longest[place] = max(longest.get(place, 0.0), abs(peak.value))
    rows = census.rows()
    assert len(rows) == 9
    assert [row.over_median for row in rows] == sorted((row.over_median for row in rows), reverse=True)
    for row in rows:
        assert row.maximum == longest[row.block, row.output]
        median = torch.tensor([longest[row.block, channel] for channel in range(32)]).median().item()
        assert row.over_median == pytest.approx(row.maximum / median)
    assert census.rows(2) == rows[:2]


def test_looking_twice_shows_the_same() -> None:
    module = network("olmoe")
    projections = down_projections(module)
    assert look(module, projections, PROMPT) == look(module, projections, PROMPT)
