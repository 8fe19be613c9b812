"""From what a search found and its tests measured to the document of a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lth.analysis.effect_sentences import effect_sentences
from lth.analysis.effects import RULE, UNTESTED, BlockLosses, Effect, effect, verdict_word
from lth.analysis.super_weights import (
    FORMAT,
    VERSION,
    Candidate,
    InterventionRow,
    KnownRow,
    ProtocolDocument,
    SuperWeightsDocument,
)
from lth.analysis.super_weights_verdict import super_weights_verdict
from lth.launch.specimen import Specimen
from lth.launch.superweights_shown import census_rows, massive_rows, prompt_rows, round_rows, spike_rows
from lth.lineage import environment
from lth.superweights.battery import BASELINE, Trial
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Findings
from lth.superweights.interventions import Intervention
from lth.superweights.known import verify
from lth.superweights.labels import label_of
from lth.superweights.places import Place
from lth.superweights.texts import Passage

PLAIN = ("scale", "row", "row-without", "column", "column-without", "restore", "constant")
"""Kinds of interventions that sentences speak of, with factor 0."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The trials of one weight, the causal test first: what was done, the key of its result, the losses."""

    trials: tuple[tuple[Trial, str, BlockLosses], ...]

    @property
    def controls(self) -> list[BlockLosses]:
        """The losses of those that the weight's effect must exceed."""
        return [losses for trial, _, losses in self.trials if trial.is_control]


def super_weights_document(
    *,
    id: str,
    created: str,
    specimen: Specimen,
    texts: Sequence[str],
    findings: Findings,
    places: Mapping[Coordinate, Place],
    passage: Passage | None,
    base: tuple[str, BlockLosses] | None,
    proofs: Mapping[Coordinate, Proof],
    precision: str,
    confidence: float,
    registered: str | None,
    config: Mapping[str, Any],
) -> SuperWeightsDocument:
    """Return the document.

    Args:
        id: of the search.
        created: when, as ISO 8601.
        specimen: the model.
        texts: of the prompts, those given as ids behind them.
        findings: what the forward passes showed.
        places: what each weight is in its matrix.
        passage: the text, under its protocol; None if nothing was measured.
        base: key and losses of the untouched network.
        proofs: by weight.
        precision: of the weights.
        confidence: of the intervals.
        registered: the model of the registry that it is.
        config: what was asked for, in plain values.
    """
    effects = {} if base is None else {at: _effects(base[1], proof, confidence) for at, proof in proofs.items()}
    candidates = [
        _candidate(place, findings, base, proofs.get(place.coordinate), effects.get(place.coordinate), confidence)
        for place in places.values()
    ]
    bytes_per_token = None if passage is None else passage.facts["bytes_per_token"]
    rows = [] if base is None else _rows(base, proofs, confidence, bytes_per_token)  # type: ignore[arg-type]
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": id,
        "created": created,
        "model": {
            "name": specimen.name,
            "facts": dict(specimen.facts),
            "precision": precision,
            "is_causal": specimen.is_causal,
        },
        "search": findings.search.model_dump(mode="json"),
        "prompts": prompt_rows(findings, texts, specimen),
        "spikes": spike_rows(findings),
        "rounds": round_rows(findings),
        "candidates": candidates,
        "census": census_rows(findings),
        "massive": massive_rows(findings, specimen),
        "protocol": None if passage is None else _protocol(passage),
        "notes": [*findings.notes, *([RULE] if proofs else [])],
        "confidence": confidence,
        "interventions": rows,
        "known": _known(registered, findings, places, effects),
        "verdict": super_weights_verdict(specimen.name, candidates, rows, is_causal=specimen.is_causal),
        "config": dict(config),
        "environment": environment(),
    }


def _effects(base: BlockLosses, proof: Proof, confidence: float) -> list[tuple[Trial, Effect]]:
    return [(trial, effect(base, losses, confidence)) for trial, _, losses in proof.trials]


def _candidate(
    place: Place,
    findings: Findings,
    base: tuple[str, BlockLosses] | None,
    proof: Proof | None,
    effects: Sequence[tuple[Trial, Effect]] | None,
    confidence: float,
) -> Candidate:
    at = place.coordinate
    spike = next((each for each in findings.candidates if each.coordinate == at), None)
    word, sentences = UNTESTED, list[str]()
    if base is not None and proof is not None and effects is not None:
        is_spike = spike is not None
        word = verdict_word(base[1], proof.trials[0][2], proof.controls, is_spike=is_spike, confidence=confidence)
        sentences = _sentences(at, effects)
    return {
        "coordinate": str(at),
        "name": place.name,
        "value": place.weight,
        "rank": place.rank,
        "of": math.prod(place.shape),
        "share": None if spike is None else spike.share,
        "over_channels": None if spike is None else spike.over_channels,
        "over_blocks": None if spike is None else spike.over_blocks,
        "prompts": 0 if spike is None else len(spike.prompts),
        "round": None if spike is None else spike.round,
        "companion_of": str(spike.companion_of or "") if spike else "",
        "label": "asked for" if spike is None else spike.label(),
        "verdict": word,
        "sentences": sentences,
    }


def _sentences(at: Coordinate, effects: Sequence[tuple[Trial, Effect]]) -> list[str]:
    own = {
        trial.intervention.kind: measured
        for trial, measured in effects
        if trial.intervention.kind in PLAIN
        and trial.intervention.factor == 0
        and trial.intervention.coordinates == (at,)
    }
    controls = [(trial.intervention.words(), measured) for trial, measured in effects if trial.is_control]
    return effect_sentences(str(at), own, controls)


def _protocol(passage: Passage) -> ProtocolDocument:
    facts: Mapping[str, Any] = passage.facts
    return {
        "name": facts["protocol"],
        "words": passage.words,
        "text": facts["text"],
        "digest": facts["text_digest"],
        "tokens": facts["tokens"],
        "blocks": facts["blocks"],
        "bos": facts["bos"],
        "bytes_per_token": facts["bytes_per_token"],
    }


def _rows(
    base: tuple[str, BlockLosses],
    proofs: Mapping[Coordinate, Proof],
    confidence: float,
    bytes_per_token: float | None,
) -> list[InterventionRow]:
    def row(group: str, at: str, change: Intervention, key: str, losses: BlockLosses) -> InterventionRow:
        measured = effect(base[1], losses, confidence)
        perplexity = measured["perplexity"]["value"]
        bits = None if perplexity is None or not bytes_per_token else math.log2(perplexity) / bytes_per_token
        factor = None if change.kind == "none" else change.factor
        label, words = label_of(change), change.words()
        return {
            "key": key, "group": group, "kind": change.kind, "coordinate": at, "factor": factor, "label": label,
            "words": words, "bits_per_byte": bits, **measured,
        }  # fmt: skip

    return [row("", "", BASELINE, *base)] + [
        row(trial.group, str(at), trial.intervention, key, losses)
        for at, proof in proofs.items()
        for trial, key, losses in proof.trials
    ]


def _known(
    model: str | None,
    findings: Findings,
    places: Mapping[Coordinate, Place],
    effects: Mapping[Coordinate, Sequence[tuple[Trial, Effect]]],
) -> list[KnownRow]:
    if model is None:
        return []
    ratios = {at: some[0][1]["ratio"]["value"] for at, some in effects.items()}
    rows = verify(
        model,
        values={at: place.weight for at, place in places.items()},
        found=[each.coordinate for each in findings.candidates],
        ratios={at: math.inf if ratio is None else ratio for at, ratio in ratios.items()},
    )
    return [
        {
            "model": row.model,
            "coordinate": row.coordinate,
            "published": row.published,
            "here": row.here,
            "agrees": row.agrees,
            "source": row.source,
        }
        for row in rows
    ]
