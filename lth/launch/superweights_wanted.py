"""What a search for super weights is asked for: prompts, weights, limits, and what proves them."""

from dataclasses import dataclass, field
from typing import Any

from lth.config import SettingsError, check_choice
from lth.launch.specimen import Specimen
from lth.lineage.loaded import PRECISIONS
from lth.superweights.coordinates import Coordinate
from lth.superweights.known import model_of, of_model, registry
from lth.superweights.protocol import Protocol
from lth.superweights.search import PROMPTS, Search


@dataclass(frozen=True, slots=True)
class WantedSearch:
    """What is looked for, and what it is proved by.

    Attributes:
        prompts: texts; none takes the usual three.
        token_prompts: prompts as token ids, beside or in place of texts.
        search: when a spike makes a candidate.
        coordinates: that are tested whether they spike or not.
        most: candidates that are tested, the likeliest first.
        text: what perplexity is measured on; None is the test part of the model's own data.
        protocol: how; None looks only.
        precision: of the weights.
        confidence: of the intervals.
        registered: the model of the registry whose published coordinates stand beside.
    """

    prompts: tuple[str, ...] = ()
    token_prompts: tuple[tuple[int, ...], ...] = ()
    search: Search = field(default_factory=Search)
    coordinates: tuple[Coordinate, ...] = ()
    most: int = 12
    text: str | None = None
    protocol: Protocol | None = None
    precision: str = "float32"
    confidence: float = 0.95
    registered: str | None = None

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)

    def document(self) -> dict[str, Any]:
        """Return what was asked for, in plain values."""
        protocol = None if self.protocol is None else self.protocol.model_dump(mode="json", exclude_none=True)
        return {
            "coordinates": [str(each) for each in self.coordinates],
            "most": self.most,
            "text": self.text,
            "protocol": protocol,
            "confidence": self.confidence,
        }


def prompt_ids(specimen: Specimen, wanted: WantedSearch) -> tuple[tuple[int, ...], ...]:
    """Return the prompts as token ids, texts first.

    Raises:
        SettingsError: if the model cannot read one.
    """
    texts = wanted.prompts or (() if wanted.token_prompts else PROMPTS)
    return (*(_prompt(specimen, text) for text in texts), *(specimen.checked(ids) for ids in wanted.token_prompts))


def _prompt(specimen: Specimen, text: str) -> tuple[int, ...]:
    try:
        return specimen.prompt(text)
    except SettingsError:
        raise
    except ValueError as error:  # as of a tokenizer of characters
        raise SettingsError(f"prompt {text!r}: {error}; give prompts of your own with --prompt") from error


def published(name: str) -> tuple[Coordinate, ...]:
    """Return the published coordinates of the model that a name means.

    Raises:
        SettingsError: if the registry has none.
    """
    model = model_of(name)
    known = () if model is None else tuple(each.coordinate for each in of_model(registry().weights, model))
    if not known:
        models = ", ".join(dict.fromkeys(each.model for each in registry().weights))
        raise SettingsError(
            f"no coordinates are published for {name}; there are some of {models}. Where the name of a folder does not "
            "say which it is, write MODEL=FOLDER"
        )
    return known
