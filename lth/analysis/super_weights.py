"""The document of a search for super weights, superweights.json: written by launch, read by report and anyone else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from lth.config.json_text import parse_json

FORMAT, VERSION = "lth.superweights", 1

GROUPS = ("weight", "row", "column", "activation", "pair", "control")
"""What an intervention acts on: the weight itself, its output channel, its neuron, what it causes, others."""


class Estimate(TypedDict):
    """A value with the interval that the blocks of text give it; ends are null where there is none."""

    value: float | None
    low: float | None
    high: float | None


class ModelFacts(TypedDict):
    """What was looked at: `facts` are architecture, parameters, quantisation, revision, digest, as far as known."""

    name: str
    facts: dict[str, str | int]
    precision: str
    is_causal: bool


class PromptDocument(TypedDict):
    """One prompt: its text where there was one, its ids, and its tokens as text where a tokenizer is known."""

    text: str
    ids: list[int]
    tokens: list[str]


class SpikeRow(TypedDict):
    """The largest |input| and |output| of one down-projection over one prompt.

    In round 1 the model is as it is; in later ones the weights that earlier ones found are zeroed. Values have their
    sign; `input_at` and `output_at` are positions in the prompt.
    """

    round: int
    prompt: int
    block: int
    expert: int | None
    input: float | None
    input_channel: int
    input_at: int
    output: float | None
    output_channel: int
    output_at: int


class Candidate(TypedDict):
    """One coordinate that the forward passes name, or that the user does.

    Attributes:
        coordinate: block, output, input (and expert), as text.
        name: of the parameter.
        value: of the weight.
        rank: by magnitude in its matrix, 1 for the largest, of `of`.
        share: |x w| / |y| at its token, the least over prompts; null where it did not show (a user's coordinate).
        over_channels: |output| over the median of the channels' maxima in its block, likewise.
        over_blocks: |output| over the median of the blocks' maxima, likewise.
        prompts: on how many prompts it showed.
        round: in which round; null where it did not show.
        companion_of: the candidate of the same neuron that writes more, whose spike it shares; empty without one.
        label: what else it is, such as `cancels 11,507,1229`.
        verdict: super weight, spike only, none, or not tested.
        sentences: what its tests allow to say.
    """

    coordinate: str
    name: str
    value: float
    rank: int
    of: int
    share: float | None
    over_channels: float | None
    over_blocks: float | None
    prompts: int
    round: int | None
    companion_of: str
    label: str
    verdict: str
    sentences: list[str]


def leading(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are no companions, and those companions that were tested."""
    return [each for each in candidates if not each["companion_of"] or each["verdict"] != "not tested"]


class RoundDocument(TypedDict):
    """One look: what was zeroed before it, and what it found."""

    zeroed: list[str]
    found: list[str]


class CensusRow(TypedDict):
    """An output channel (a row of a down-projection): its largest |output| over all prompts, and how many times that is
    the median of the channels of its matrix."""

    block: int
    expert: int | None
    channel: int
    maximum: float
    ratio: float


class MassiveRow(TypedDict):
    """A massive activation of the residual stream: its value, and how far it is above the median of its block."""

    block: int
    prompt: int
    at: int
    token: str
    channel: int
    value: float
    ratio: float


class ProtocolDocument(TypedDict):
    """How perplexity was measured, in words and numbers."""

    name: str
    words: str
    text: str
    digest: str
    tokens: int
    blocks: int
    bos: int | None
    bytes_per_token: float | None


class InterventionRow(TypedDict):
    """One change of the network and what it did, over the blocks of the text.

    Attributes:
        key: of the result in the store.
        group: an entry of GROUPS; empty for the model as it is.
        kind: of the intervention.
        coordinate: of the candidate that it belongs to; empty for the model as it is.
        factor: what was multiplied, where something was.
        label: few words, the same for draws of one kind.
        words: what was done.
        perplexity: with the interval of the mean loss over blocks.
        bits_per_byte: null where the text has no bytes.
        ratio: of perplexities, with over without; its interval is paired over blocks.
        difference: of the loss, in nats per token; likewise.
        worse: blocks whose loss rose, of `blocks`.
        stop_words: change of the mean probability of stop words; null where no tokenizer is known.
    """

    key: str
    group: str
    kind: str
    coordinate: str
    factor: float | None
    label: str
    words: str
    perplexity: Estimate
    bits_per_byte: float | None
    ratio: Estimate
    difference: Estimate
    worse: int
    blocks: int
    stop_words: Estimate | None


class KnownRow(TypedDict):
    """A published coordinate beside what was measured here; `agrees` is null where it could not be looked at."""

    model: str
    coordinate: str
    published: str
    here: str
    agrees: bool | None
    source: str


class Tile(TypedDict):
    """One of the few numbers beside a verdict."""

    label: str
    value: str
    note: str


class SuperWeightsVerdict(TypedDict):
    """What was concluded: super weight, spike only, none, or not tested."""

    word: str
    title: str
    sentences: list[str]
    tiles: list[Tile]


class SuperWeightsDocument(TypedDict):
    """The content of superweights.json."""

    format: str
    version: int
    id: str
    created: str
    model: ModelFacts
    search: dict[str, Any]
    prompts: list[PromptDocument]
    spikes: list[SpikeRow]
    rounds: list[RoundDocument]
    candidates: list[Candidate]
    census: list[CensusRow]
    massive: list[MassiveRow]
    protocol: ProtocolDocument | None
    notes: list[str]
    confidence: float
    interventions: list[InterventionRow]
    known: list[KnownRow]
    verdict: SuperWeightsVerdict
    config: dict[str, Any]
    environment: dict[str, Any]


def read_super_weights(folder: Path) -> SuperWeightsDocument:
    """Return the document in a folder, checked.

    Raises:
        ValueError: naming the file, if it is missing, damaged, or of another format or version.
    """
    path = Path(folder) / "superweights.json"
    again = "Run `lth superweights` again to write it anew."
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}). {again}") from None
    header = (document.get("format"), document.get("version")) if isinstance(document, Mapping) else (None, None)
    if header != (FORMAT, VERSION):
        raise ValueError(
            f"{path} has format {header[0]!r}, version {header[1]!r}; expected {FORMAT!r}, {VERSION}. {again}"
        )
    try:
        checked: SuperWeightsDocument = TypeAdapter(SuperWeightsDocument).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path} is damaged at {place!r}: {first['msg']}. {again}") from None
    return checked
