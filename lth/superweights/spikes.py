"""What one forward pass shows of the MLPs of a transformer: spikes, massive activations, the census of rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from lth.superweights.projections import DownProjection, observed

Call = Callable[[nn.Module, Tensor], object]
"""Runs a network on tokens (1, position)."""

MASSIVE, MASSIVE_OVER_MEDIAN = 100, 1000
"""What |value| a massive activation exceeds, and how many times the median of its layer (Sun et al. 2024)."""

TOP_MASSIVE, TOP_ROWS = 3, 3
"""Massive activations reported of a block and prompt, rows of a matrix."""

SMALLEST = torch.finfo(torch.float32).tiny
"""What medians are at least, so that ratios stay finite."""


class NotFiniteError(ValueError):
    """Activations are NaN or infinite."""


class Value(BaseModel):
    """What a forward pass shows: it stays as it is, and knows its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Peak(Value):
    """The largest absolute value of a channel over the tokens of a prompt, with its sign."""

    token: int
    channel: int
    value: float


class MassiveActivation(Value):
    """A value of the residual stream behind a block, far above the others of its layer.

    Source: Sun et al. 2024, "Massive activations in large language models", arXiv:2402.17762.
    """

    prompt: int
    block: int
    token: int
    channel: int
    value: float
    over_median: float


class CensusRow(Value):
    """A row: its channel's largest |output| over all prompts, and that over the median channel's of the matrix."""

    block: int
    expert: int | None
    output: int
    maximum: float
    over_median: float


@dataclass(frozen=True, slots=True)
class Sight:
    """What a prompt showed of one projection.

    Attributes:
        projection: whose inputs and outputs they are.
        inputs: the largest channels, the largest first.
        outputs: the same of its outputs.
        channel_median: median over output channels of the largest |output| of each.
        weights: (output, input) channel -> weight, of peaks at one token.
    """

    projection: DownProjection
    inputs: tuple[Peak, ...]
    outputs: tuple[Peak, ...]
    channel_median: float
    weights: dict[tuple[int, int], float]


@dataclass(slots=True)
class Census:
    """The largest |output| of each channel so far."""

    maxima: dict[tuple[int, int | None], Tensor] = field(default_factory=dict)

    def add(self, projection: DownProjection, maxima: Tensor) -> None:
        place = projection.block, projection.expert
        before = self.maxima.get(place)
        self.maxima[place] = maxima.cpu() if before is None else torch.maximum(before, maxima.cpu())

    def rows(self, limit: int = 100) -> tuple[CensusRow, ...]:
        """Return the rows that stand out most from their matrix, at most TOP_ROWS of each, the first `limit`."""
        rows = []
        for (block, expert), maxima in self.maxima.items():
            median = max(maxima.median().item(), SMALLEST)
            values, channels = maxima.topk(min(TOP_ROWS, len(maxima)))
            rows += [
                CensusRow(block=block, expert=expert, output=channel, maximum=value, over_median=value / median)
                for value, channel in zip(values.tolist(), channels.tolist(), strict=True)
            ]
        return tuple(sorted(rows, key=lambda row: -row.over_median)[:limit])


@dataclass(frozen=True, slots=True)
class Look:
    """What a prompt showed."""

    sights: list[Sight]
    massive: list[MassiveActivation]


def plain_call(module: nn.Module, tokens: Tensor) -> object:
    return module(tokens)


def look(
    module: nn.Module,
    projections: Sequence[DownProjection],
    prompt: Sequence[int],
    *,
    number: int = 0,
    top: int = 3,
    call: Call = plain_call,
    census: Census | None = None,
) -> Look:
    """Return what one forward pass shows; nothing is kept of each token but what is returned.

    Args:
        module: a transformer in evaluation mode.
        projections: its down-projections.
        prompt: token ids.
        number: of the prompt, from 0.
        top: channels of a projection that are reported.
        call: runs it.
        census: that takes the channels' maxima.
    Raises:
        ValueError: if activations are not finite, or the prompt does not fit the network.
    """
    seen = Look([], [])

    def see(projection: DownProjection, tokens: Tensor, inputs: Tensor, outputs: Tensor) -> None:
        for what, values in (("inputs", inputs), ("outputs", outputs)):
            _check_finite(values, f"the {what} of the down-projection of {projection.place}", number)
        maxima, rows = outputs.abs().max(dim=0)
        if census is not None:
            census.add(projection, maxima)
        peaks = _peaks(inputs, tokens, *inputs.abs().max(dim=0), top), _peaks(outputs, tokens, maxima, rows, top)
        weights = _weights_between(projection, *peaks)
        seen.sights.append(Sight(projection, *peaks, max(maxima.median().item(), SMALLEST), weights))

    def see_residual(block: int, hidden: Tensor) -> None:
        _check_finite(hidden, f"what block {block} returns", number)
        seen.massive.extend(_massive(hidden, block, number))

    device = next((each.device for each in module.parameters() if not each.is_meta), torch.device("cpu"))
    tokens = torch.tensor([prompt], dtype=torch.long, device=device)
    with torch.no_grad(), observed(projections, see), _observed_residual(module, projections, see_residual):
        try:
            call(module, tokens)
        except IndexError as error:
            raise ValueError(
                f"prompt {number + 1} of {len(prompt)} tokens does not fit {type(module).__name__}: shorten it"
            ) from error
    return seen


@contextmanager
def _observed_residual(
    module: nn.Module, projections: Sequence[DownProjection], see: Callable[[int, Tensor], None]
) -> Iterator[None]:
    """Call `see` with a block's number and what it returns (token, hidden), in each forward pass."""

    def hook(block: int) -> Callable[[nn.Module, object, object], None]:
        def after(_: nn.Module, __: object, out: object) -> None:
            hidden = out[0] if isinstance(out, tuple) else out
            assert isinstance(hidden, Tensor)
            see(block, hidden.detach().reshape(-1, hidden.shape[-1]).float())

        return after

    blocks = {projection.block: projection.block_name for projection in projections}
    with ExitStack() as hooks:
        for block, name in blocks.items():
            hooks.callback(module.get_submodule(name).register_forward_hook(hook(block)).remove)
        yield


def _peaks(values: Tensor, tokens: Tensor, maxima: Tensor, rows: Tensor, top: int) -> tuple[Peak, ...]:
    channels = maxima.topk(min(top, len(maxima))).indices
    at = rows[channels]
    return tuple(
        Peak(token=token, channel=channel, value=value)
        for token, channel, value in zip(
            tokens[at].tolist(), channels.tolist(), values[at, channels].tolist(), strict=True
        )
    )


def _weights_between(
    projection: DownProjection, inputs: Sequence[Peak], outputs: Sequence[Peak]
) -> dict[tuple[int, int], float]:
    pairs = [(out.channel, in_.channel) for out in outputs for in_ in inputs if out.token == in_.token]
    if not pairs:
        return {}
    weight = projection.weight
    return {pair: weight[pair].item() for pair in pairs}


def _massive(hidden: Tensor, block: int, prompt: int) -> Iterator[MassiveActivation]:
    """Yield the massive activations behind a block, the largest first, from values (token, hidden)."""
    sizes = hidden.abs()
    median = max(sizes.median().item(), SMALLEST)
    for index in sizes.flatten().topk(min(TOP_MASSIVE, sizes.numel())).indices.tolist():
        token, channel = divmod(index, hidden.shape[1])
        value = hidden[token, channel].item()
        if abs(value) > max(MASSIVE, MASSIVE_OVER_MEDIAN * median):
            yield MassiveActivation(
                prompt=prompt, block=block, token=token, channel=channel, value=value, over_median=abs(value) / median
            )


def _check_finite(values: Tensor, what: str, prompt: int) -> None:
    if not values.isfinite().all():
        word = "NaN" if values.isnan().any() else "infinite"
        raise NotFiniteError(
            f"{what} are {word} for prompt {prompt + 1}: the weights are damaged, or the precision is too low for this "
            "network. Try float32"
        )
