"""The jobs that measure a network on a text while it is changed: one command finds what another measured."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from lth.launch.specimen import Specimen
from lth.lineage import DataSpec, Intervened, Sources
from lth.superweights.interventions import Intervention
from lth.superweights.stop_words import stop_word_ids
from lth.superweights.texts import Passage


def intervened(specimen: Specimen, passage: Passage, change: Intervention, precision: str = "float32") -> Intervened:
    """Return the job that measures a network on a text while it is changed, with its stop words.

    Args:
        specimen: the network.
        passage: the text, under its protocol.
        change: what is done to the network.
        precision: of the weights.
    """
    return Intervened(
        weights=specimen.weights,
        data=DataSpec(digest=passage.data.digest, validation="own"),
        intervention=change,
        precision=precision,
        stop_words=() if specimen.encode is None else _stop_words(specimen.encode),
    )


def with_passage(sources: Sources, passage: Passage) -> Sources:
    """Return the sources of a network with those of a text beside them."""
    return replace(sources, data=sources.data | {passage.data.digest: passage.data})


@lru_cache(maxsize=2)  # a tokenizer is asked for hundreds of words, and a battery has some fifty jobs
def _stop_words(encode: Callable[[str], list[int]]) -> tuple[int, ...]:
    return stop_word_ids(encode)
