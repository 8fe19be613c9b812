"""From what a search found and its tests measured to the document of a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lth.analysis.effect_sentences import effect_sentences
from lth.analysis.effects import NONE, RULE, SPIKE, SUPER, UNTESTED, BlockLosses, Effect, effect, verdict_word
from lth.analysis.super_weights import (
    FORMAT,
    VERSION,
    Candidate,
    InterventionRow,
    KnownRow,
    PromptDocument,
    ProtocolDocument,
    SpikeRow,
    SuperWeightsDocument,
    SuperWeightsVerdict,
    Tile,
    leading,
)
from lth.analysis.super_weights_words import amount, times
from lth.launch.specimen import Specimen
from lth.lineage import environment
from lth.superweights.battery import BASELINE, Trial
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Candidate as Found
from lth.superweights.findings import Findings
from lth.superweights.interventions import Intervention
from lth.superweights.known import verify
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
        "prompts": [_prompt(number, ids, texts, specimen) for number, ids in enumerate(findings.prompts)],
        "spikes": _spikes(findings),
        "rounds": _rounds(findings),
        "candidates": candidates,
        "census": [
            {
                "block": row.block,
                "expert": row.expert,
                "channel": row.output,
                "maximum": row.maximum,
                "ratio": row.over_median,
            }
            for row in findings.census
        ],
        "massive": [
            {
                "block": each.block,
                "prompt": each.prompt,
                "at": each.token,
                "token": _token(specimen, findings.prompts[each.prompt][each.token]),
                "channel": each.channel,
                "value": each.value,
                "ratio": each.over_median,
            }
            for each in findings.massive
        ],
        "protocol": None if passage is None else _protocol(passage),
        "notes": [*findings.notes, *([RULE] if proofs else [])],
        "confidence": confidence,
        "interventions": rows,
        "known": _known(registered, findings, places, effects),
        "verdict": _verdict(specimen, candidates, rows),
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
    found = next((each for each in findings.candidates if each.coordinate == at), None)
    word, sentences = UNTESTED, list[str]()
    if base is not None and proof is not None and effects is not None:
        is_spike = found is not None
        word = verdict_word(base[1], proof.trials[0][2], proof.controls, is_spike=is_spike, confidence=confidence)
        sentences = _sentences(at, effects)
    return {
        "coordinate": str(at),
        "name": place.name,
        "value": place.weight,
        "rank": place.rank,
        "of": math.prod(place.shape),
        "share": None if found is None else found.share,
        "over_channels": None if found is None else found.over_channels,
        "over_blocks": None if found is None else found.over_blocks,
        "prompts": 0 if found is None else len(found.prompts),
        "round": None if found is None else found.round,
        "companion_of": str(found.companion_of or "") if found else "",
        "label": "asked for" if found is None else _label_of(found),
        "verdict": word,
        "sentences": sentences,
    }


def _label_of(found: Found) -> str:
    parts = [f"companion of {found.companion_of}"] if found.companion_of else []
    parts += [f"cancels {found.cancels}"] if found.cancels else []
    parts += [f"shows in round {found.round} only"] if found.round > 1 else []
    return ", ".join(parts)


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


def _prompt(number: int, ids: Sequence[int], texts: Sequence[str], specimen: Specimen) -> PromptDocument:
    return {
        "text": texts[number] if number < len(texts) else "",
        "ids": list(ids),
        "tokens": [_token(specimen, each) for each in ids],
    }


def _token(specimen: Specimen, id: int) -> str:
    return "" if specimen.decode is None else specimen.decode([id])


def _spikes(findings: Findings) -> list[SpikeRow]:
    return [
        {
            "round": number,
            "prompt": row.prompt,
            "block": row.block,
            "expert": row.expert,
            "input": row.inputs[0].value,
            "input_channel": row.inputs[0].channel,
            "input_at": row.inputs[0].token,
            "output": row.outputs[0].value,
            "output_channel": row.outputs[0].channel,
            "output_at": row.outputs[0].token,
        }
        for number, shown in enumerate(findings.rounds, start=1)
        for row in shown.maxima
    ]


def _rounds(findings: Findings) -> Any:
    return [
        {
            "zeroed": [str(each) for each in shown.zeroed],
            "found": [str(each.coordinate) for each in findings.candidates if each.round == number],
        }
        for number, shown in enumerate(findings.rounds, start=1)
    ]


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
        label, words = (label_of(change), change.words())
        return {
            "key": key, "group": group, "kind": change.kind, "coordinate": at, "factor": factor, "label": label,
            "words": words, "bits_per_byte": bits, **measured,
        }  # fmt: skip

    return [row("", "", BASELINE, *base)] + [
        row(trial.group, str(at), trial.intervention, key, losses)
        for at, proof in proofs.items()
        for trial, key, losses in proof.trials
    ]


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


def _verdict(specimen: Specimen, every: Sequence[Candidate], rows: Sequence[InterventionRow]) -> SuperWeightsVerdict:
    candidates = leading(every)
    name = specimen.name.rstrip("/").rpartition("/")[2]
    by_word = {word: [each for each in candidates if each["verdict"] == word] for word in (SUPER, SPIKE)}
    found, tested = by_word[SUPER], [each for each in candidates if each["verdict"] != UNTESTED]
    if not candidates:
        word, title = NONE, f"No spike in {name}"
        sentences = ["No weight stands between a large input and a large output of its block on enough prompts."]
    elif not tested:
        word, title = UNTESTED, f"{_count(len(candidates), 'candidate')} in {name}, not tested"
        sentences = [f"Spikes make candidates: {_names(candidates)}. Only a test of what they do makes super weights."]
        if not specimen.is_causal:
            sentences.append("This network predicts no next token, so that nothing of that kind can be measured.")
    elif found:
        word, title = SUPER, f"{_count(len(found), 'super weight')} in {name}"
        verb = "is a super weight" if len(found) == 1 else "are super weights"
        sentences = [f"{len(found)} of {len(tested)} tested weights {verb}: {_names(found)}."]
        sentences += [sentence for each in found[:2] for sentence in each["sentences"][:3]]
    else:
        word, title = SPIKE if by_word[SPIKE] else NONE, f"No super weight in {name}"
        sentences = [f"None of {_count(len(tested), 'tested weight')} does what a super weight does: {_names(tested)}."]
        strongest = max(tested, key=lambda each: _harm(each, rows))
        sentences += strongest["sentences"][:1]
    return {"word": word, "title": title, "sentences": sentences, "tiles": _tiles(candidates, found, rows)}


def _tiles(candidates: Sequence[Candidate], found: Sequence[Candidate], rows: Sequence[InterventionRow]) -> list[Tile]:
    tiles: list[Tile] = []
    if rows:
        base = amount(rows[0]["perplexity"]["value"])
        bits = rows[0]["bits_per_byte"]
        note = "of the model as it is" + ("" if bits is None else f"; {bits:.3f} bits per byte")
        tiles.append({"label": "Perplexity", "value": base, "note": note})
    for each in found[:2]:
        own = [row for row in rows if row["coordinate"] == each["coordinate"] and row["factor"] == 0]
        for kind, label in (("scale", f"Without {each['coordinate']}"), ("column", "Without its whole neuron")):
            if row := next((row for row in own if row["kind"] == kind), None):
                note = f"{times(row['ratio']['value'])} times; worse in {row['worse']} of {row['blocks']} blocks"
                tiles.append({"label": label, "value": amount(row["perplexity"]["value"]), "note": note})
    note = f"{len(found)} of them super weights" if rows else "not tested"
    tiles.append({"label": "Candidates", "value": str(len(candidates)), "note": note})
    return tiles


def _harm(each: Candidate, rows: Sequence[InterventionRow]) -> float:
    row = next(row for row in rows if row["coordinate"] == each["coordinate"])
    value = row["ratio"]["value"]
    return math.inf if value is None else value


def _names(candidates: Sequence[Candidate]) -> str:
    shown = "; ".join(each["coordinate"] for each in candidates[:6])
    return shown + (f" and {len(candidates) - 6} more" if len(candidates) > 6 else "")


def _count(number: int, noun: str) -> str:
    words = {1: "One", 2: "Two", 3: "Three"}
    return f"{words.get(number, number)} {noun}{'s' * (number != 1)}"
