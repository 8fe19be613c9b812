"""What a search for super weights concludes: its title, sentences and tiles."""

import math
from collections.abc import Sequence

from lth.analysis.effects import NONE, SPIKE, SUPER, UNTESTED
from lth.analysis.super_weights import Candidate, InterventionRow, SuperWeightsVerdict, Tile, leading
from lth.analysis.super_weights_words import amount, times


def super_weights_verdict(
    name: str, every: Sequence[Candidate], rows: Sequence[InterventionRow], *, is_causal: bool
) -> SuperWeightsVerdict:
    """Return what a search concludes.

    Args:
        name: of the model.
        every: all candidates, companions too.
        rows: what interventions did, the model as it is first; none where nothing was measured.
        is_causal: whether the model predicts the next token.
    """
    candidates = leading(every)
    name = name.rstrip("/").rpartition("/")[2]
    by_word = {word: [each for each in candidates if each["verdict"] == word] for word in (SUPER, SPIKE)}
    found, tested = by_word[SUPER], [each for each in candidates if each["verdict"] != UNTESTED]
    untested = [each for each in every if each["verdict"] == UNTESTED]
    if not candidates:
        word, title = NONE, f"No spike in {name}"
        sentences = ["No weight stands between a large input and a large output of its block on enough prompts."]
    elif not tested:
        word, title = UNTESTED, f"{_count(len(candidates), 'candidate')} in {name}, not tested"
        sentences = [f"Spikes make candidates: {_names(candidates)}. Only a test of what they do makes super weights."]
        if not is_causal:
            sentences.append("This network predicts no next token, so that nothing of that kind can be measured.")
    elif found:
        word, title = SUPER, f"{_count(len(found), 'super weight')} in {name}"
        verb = "is a super weight" if len(found) == 1 else "are super weights"
        sentences = [f"{len(found)} of {len(tested)} tested weights {verb}: {_names(found)}."]
        sentences += [sentence for each in found[:2] for sentence in each["sentences"][:3]]
    else:
        word, title = SPIKE if by_word[SPIKE] else NONE, f"No super weight {_where(tested, untested, name)}"
        sentences = [
            f"None of {_count(len(tested), 'tested weight').lower()} does what a super weight does: {_names(tested)}."
        ]
        strongest = max(tested, key=lambda each: _harm(each, rows))
        sentences += strongest["sentences"][:1]
        if untested:
            verb = "was" if len(untested) == 1 else "were"
            sentences.append(
                f"{_count(len(untested), 'candidate')} {verb} not tested; --coordinates tests any: {_names(untested)}."
            )
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


def _where(tested: Sequence[Candidate], untested: Sequence[Candidate], name: str) -> str:
    return f"among {len(tested)} tested weight{'s' * (len(tested) != 1)} of {name}" if untested else f"in {name}"


def _names(candidates: Sequence[Candidate]) -> str:
    shown = "; ".join(each["coordinate"] for each in candidates[:6])
    return shown + (f" and {len(candidates) - 6} more" if len(candidates) > 6 else "")


def _count(number: int, noun: str) -> str:
    words = {1: "One", 2: "Two", 3: "Three"}
    return f"{words.get(number, number)} {noun}{'s' * (number != 1)}"
