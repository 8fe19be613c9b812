"""Published super weights and rows, from a registry file: known.json beside this module."""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lth.superweights.coordinates import Coordinate

REGISTRY = Path(__file__).with_name("known.json")

VALUE_TOLERANCE = 0.05
"""Relative difference up to which a weight's value is the published one: either may be rounded, as in 4-bit files."""

MIN_RATIO = 1.1
"""Times perplexity that zeroing a super weight costs at least. Where there is none, whole rows cost less: the most
prominent one of Qwen2.5-3B 1.09 (its row in the registry), a random one 1.0001."""


class PublishedEffect(BaseModel):
    """What zeroing a weight did, by a metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(min_length=1)
    base: float = Field(gt=0)
    zeroed: float = Field(gt=0)


class Known(BaseModel):
    """What entries have in common.

    Attributes:
        model: its name on the Hugging Face hub.
        source: where it was published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    source: str = Field(min_length=1)


class KnownWeight(Known):
    """A published super weight; what is not known is null.

    Attributes:
        revision: the commit on the hub.
        value: of the weight.
        effect: of zeroing it.
        note: what else to know of it.
    """

    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    block: int = Field(ge=0)
    output: int = Field(ge=0)
    input: int = Field(ge=0)
    value: float | None
    effect: PublishedEffect | None
    note: str

    @property
    def coordinate(self) -> Coordinate:
        return Coordinate(block=self.block, output=self.output, input=self.input)


class KnownRow(Known):
    """A row of a census: an output channel of a down-projection.

    Attributes:
        base: the loss of the untouched network, nats a token.
        change: relative change of the loss where the row is zeroed.
    """

    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$")
    block: int = Field(ge=0)
    output: int = Field(ge=0)
    base: float = Field(gt=0)
    change: float


class KnownImpact(Known):
    """A line of a published table: mean accuracy (%) over zero-shot tasks, and perplexities.

    Attributes:
        change: what was done, in words.
        kind: of the intervention on the super weight; None where it is on others all over the network.
        factor: of it.
    """

    change: str = Field(min_length=1)
    kind: str | None
    factor: float
    average: float
    c4: float | None
    wikitext2: float | None


class Registry(BaseModel):
    """The content of the registry file; `version` is raised with each change of its entries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["lth.known-super-weights"]
    version: int = Field(ge=1)
    weights: tuple[KnownWeight, ...]
    rows: tuple[KnownRow, ...]
    impact: tuple[KnownImpact, ...]


class Verified(NamedTuple):
    """A published coordinate beside what was measured; `agrees` is None where nothing could be compared."""

    model: str
    coordinate: str
    published: str
    here: str
    agrees: bool | None
    source: str


Entry = TypeVar("Entry", bound=Known)


@cache
def registry() -> Registry:
    """Return the registry that comes with the program."""
    return Registry.model_validate(json.loads(REGISTRY.read_text(encoding="utf-8")))


def model_of(name: str) -> str | None:
    """Return the model of the registry that a file, folder or hub name is called after; a variant is another model.

    `MODEL=PLACE` says which it is, where the name of the place does not.
    """
    models = dict.fromkeys(each.model for each in (*registry().weights, *registry().rows))
    asked, _, place = name.rpartition("=")
    wanted = _plain(asked or place)
    return next((model for model in models if _plain(model) == wanted), None)


def place_of(name: str) -> str:
    """Return the place of `MODEL=PLACE` where a model of the registry stands before it; another name as it is."""
    asked, _, place = name.rpartition("=")
    return place if asked and model_of(asked) is not None else name


def of_model(entries: Iterable[Entry], model: str) -> list[Entry]:
    """Return the entries of one model, by its name on the hub."""
    return [entry for entry in entries if entry.model == model]


def verify(
    model: str,
    *,
    values: Mapping[Coordinate, float],
    found: Collection[Coordinate] | None = None,
    ratios: Mapping[Coordinate, float] | None = None,
) -> list[Verified]:
    """Return each published super weight of a model beside what was measured here.

    It agrees if the value is the published one, the forward passes name the coordinate, and zeroing it does harm
    exactly if it did so elsewhere; of these what is known on both sides.

    Args:
        model: an entry's name on the hub.
        values: of the weights, where they could be read.
        found: coordinates that the forward passes name; None if there were none.
        ratios: perplexity with the weight zeroed over that without, where it was measured.
    """
    return [
        _verified(entry, values.get(entry.coordinate), found, (ratios or {}).get(entry.coordinate))
        for entry in of_model(registry().weights, model)
    ]


def _verified(
    entry: KnownWeight, value: float | None, found: Collection[Coordinate] | None, ratio: float | None
) -> Verified:
    published, here, agreements = [], [], []
    if entry.value is not None:
        published.append(f"value {entry.value:g}")
        if value is not None:
            agreements.append(abs(value - entry.value) <= VALUE_TOLERANCE * abs(entry.value))
    if value is not None:
        here.append(f"value {value:.4g}")
    if found is not None:
        agreements.append(entry.coordinate in found)
        here.append("named by the forward passes" if entry.coordinate in found else "not named by the forward passes")
    if (effect := entry.effect) is not None:
        times = effect.zeroed / effect.base
        published.append(f"{effect.metric}: {effect.base:g} to {effect.zeroed:g}")
        if ratio is not None:
            agreements.append((ratio >= MIN_RATIO) == (times >= MIN_RATIO))
    if ratio is not None:
        does = f"multiplies perplexity by {ratio:.4g}" if math.isfinite(ratio) else "breaks the network"
        here.append(f"zeroing it {does}")
    if entry.note:
        published.append(entry.note)
    return Verified(
        model=entry.model,
        coordinate=str(entry.coordinate),
        published="; ".join(published) or "its place",
        here="; ".join(here) or "not measured",
        agrees=all(agreements) if agreements else None,
        source=entry.source,
    )


def _plain(name: str) -> str:
    """Return the last part of a name without revision, ending, quantisation and what says who converted it."""
    last = name.lower().rstrip("/").rpartition("/")[2].removeprefix("hub:")
    last = last.partition("@")[0] if name.startswith("hub:") else last
    last = re.sub(r"[.-](i?q\d\w*|bf16|f16|f32|fp16|fp32)$", "", re.sub(r"\.(gguf|safetensors)$", "", last))
    return re.sub(r"[^a-z0-9.]", "", last.removeprefix("meta-").removesuffix("-gguf").removesuffix("-hf"))
