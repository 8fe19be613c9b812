"""What a search for super weights looked at and found: values, as they stand in documents."""

from lth.superweights.coordinates import Coordinate
from lth.superweights.search import Search
from lth.superweights.spikes import CensusRow, MassiveActivation, Peak, Value


class Spike(Value):
    """A weight between a large input and a large output at one token of a prompt, which meets every limit there."""

    coordinate: Coordinate
    prompt: int
    token: int
    input: float
    weight: float
    output: float
    share: float
    over_channels: float
    over_blocks: float


class Maxima(Value):
    """The largest inputs and outputs of a block on a prompt; of a mixture those of the expert with the largest output.

    Attributes:
        prompt: its number, from 0.
        block: of the transformer.
        expert: of the block.
        inputs: the largest channels, the largest first.
        outputs: the same of its outputs.
        channel_median: median over output channels of their largest |output|.
        over_channels: the largest |output| over that.
        over_blocks: and over the median of all blocks' largest.
        why: what the first of the inputs and the first of the outputs are, or are not.
    """

    prompt: int
    block: int
    expert: int | None
    inputs: tuple[Peak, ...]
    outputs: tuple[Peak, ...]
    channel_median: float
    over_channels: float
    over_blocks: float
    why: str


class Round(Value):
    """One look at all prompts, with the candidates of the rounds before zeroed."""

    zeroed: tuple[Coordinate, ...]
    maxima: tuple[Maxima, ...]
    spikes: tuple[Spike, ...]


class Candidate(Value):
    """A coordinate that spikes on enough prompts. Whether the network needs it, the causal test decides.

    Attributes:
        coordinate: of the weight.
        weight: its value.
        round: in which it showed, from 1; later ones only once those before were zeroed.
        prompts: on which it showed, from 0.
        token: where, on the first of them.
        input: its activation there, signed; `output` the same.
        output: of its channel.
        share: the least |input * weight| / |output| over prompts.
        over_channels: the least |output| over the median channel's.
        over_blocks: and over the median block's.
        companion_of: a candidate of the same neuron, found before it or with a larger output.
        cancels: an earlier candidate whose contribution to the channel this one takes back.
    """

    coordinate: Coordinate
    weight: float
    round: int
    prompts: tuple[int, ...]
    token: int
    input: float
    output: float
    share: float
    over_channels: float
    over_blocks: float
    companion_of: Coordinate | None = None
    cancels: Coordinate | None = None

    def label(self) -> str:
        """Return what else it is than a spike of the model as it is; empty where it is nothing else."""
        parts = [f"companion of {self.companion_of}"] if self.companion_of else []
        parts += [f"cancels {self.cancels}"] if self.cancels else []
        parts += [f"shows in round {self.round} only"] if self.round > 1 else []
        return ", ".join(parts)


class Findings(Value):
    """What a search looked at and found.

    Attributes:
        search: its limits.
        prompts: token ids.
        candidates: those of the first round first, companions behind the others, then by |output|.
        passed_over: spikes that showed on too few prompts.
        rounds: what each look showed.
        massive: activations of the residual stream, in the first round.
        census: the rows that stand out most from their matrix, in the first round.
        notes: what a reader should know.
    """

    search: Search
    prompts: tuple[tuple[int, ...], ...]
    candidates: tuple[Candidate, ...]
    passed_over: tuple[Candidate, ...]
    rounds: tuple[Round, ...]
    massive: tuple[MassiveActivation, ...]
    census: tuple[CensusRow, ...]
    notes: tuple[str, ...]

    def leading(self) -> tuple[Candidate, ...]:
        """Return the candidates of the first round without companions, one a neuron: what is tested first."""
        return tuple(each for each in self.candidates if each.companion_of is None and each.round == 1)
