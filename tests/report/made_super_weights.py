"""A document of a search for super weights, made by hand: six candidates, of which one is a super weight."""

import math
import random

from lth.analysis.super_weights import Candidate, Estimate, InterventionRow, SpikeRow, SuperWeightsDocument

BASE, BLOCKS = 25.61, 40
ONE = "11,507,1229"
FOUND = (ONE, "28,507,678", "4,507,33", "5,102,1111", "6,507,70", "29,411,19")
CHANGES = (
    ("weight", "scale", 0.0, "zeroed", 6.05),
    *(
        ("weight", "scale", factor, f"times {factor:g}", ratio)
        for factor, ratio in ((0.5, 1.3), (2.0, 1.33), (3.0, 2.1))
    ),
    ("row", "row", 0.0, "row 507 zeroed", 71_000.0),
    ("row", "row-without", 0.0, "row 507 but for it", 1.1),
    ("column", "column", 0.0, "neuron 1229 zeroed", 1.06),
    ("column", "column-without", 0.0, "neuron 1229 but for it", 1.008),
    ("activation", "restore", 0.0, "zeroed, activation back", 1.9),
    ("control", "random", 0.0, "1 random weight", 1.0),
    ("control", "random", 0.0, "1 random weight", 1.002),
    ("control", "largest", 0.0, "50 largest others", 1.1),
)
"""Group, kind, factor, label, ratio of perplexities."""


def super_weights_document() -> SuperWeightsDocument:
    """Return the document, new each time."""
    return {
        "format": "lth.superweights",
        "version": 1,
        "id": "1c2d3e4f",
        "created": "2026-11-28T17:00:00+00:00",
        "model": {
            "name": "smol.gguf",
            "facts": {"architecture": "llama", "parameters": 134_515_008, "stored": "Q4_1 (210 tensors)"},
            "precision": "float32",
            "is_causal": True,
        },
        "search": {"share": 0.5, "over_channels": 30.0},
        "prompts": [{"text": f"Prompt {number}.", "ids": [1, 2, 3], "tokens": ["a", "b", "c"]} for number in range(3)],
        "spikes": _spikes(),
        "rounds": [{"zeroed": [], "found": list(FOUND)}, {"zeroed": list(FOUND), "found": []}],
        "candidates": [_candidate(name, place) for place, name in enumerate(FOUND)],
        "census": [
            {"block": block, "expert": None, "channel": 507, "maximum": 50.0, "ratio": 900.0 if block == 11 else 7.0}
            for block in range(30)
        ],
        "massive": [
            {"block": 12, "prompt": 0, "at": 0, "token": "Apple", "channel": 507, "value": -2290.0, "ratio": 5100.0}
        ],
        "protocol": {
            "name": "blocks:512",
            "words": "blocks of 512 tokens without overlap",
            "text": "test.txt",
            "digest": "ab12cd34ef56ab12",
            "tokens": 20_440,
            "blocks": BLOCKS,
            "bos": None,
            "bytes_per_token": 4.1,
        },
        "notes": ["only 3 prompts"],
        "confidence": 0.95,
        "interventions": _interventions(),
        "known": [
            {
                "model": "owner/smol",
                "coordinate": ONE,
                "published": "value 5.876",
                "here": "value 5.876",
                "agrees": True,
                "source": "measured with this program",
            }
        ],
        "verdict": {
            "word": "super weight",
            "title": "One super weight in smol.gguf",
            "sentences": ["One of 6 candidates is a super weight.", "1,000 random weights do nothing."],
            "tiles": [{"label": "Perplexity", "value": "25.6", "note": "of the model as it is"}],
        },
        "config": {"protocol": "blocks:512"},
        "environment": {"torch": "2"},
    }


def _spikes() -> list[SpikeRow]:
    draw = random.Random(0)
    rows: list[SpikeRow] = []
    for number in (1, 2):
        for place in range(3 * 30):
            block = place % 30
            is_peak = number == 1 and block == 11
            rows.append(
                {
                    "round": number,
                    "prompt": place // 30,
                    "block": block,
                    "expert": None,
                    "input": 420.0 if is_peak else math.exp(draw.gauss(1.5, 0.3)),
                    "input_channel": 1229,
                    "input_at": 0,
                    "output": -2300.0 if is_peak else math.exp(draw.gauss(1.8, 0.3)),
                    "output_channel": 507,
                    "output_at": 0,
                }
            )
    return rows


def _candidate(name: str, place: int) -> Candidate:
    return {
        "coordinate": name,
        "name": f"model.layers.{name.split(',')[0]}.mlp.down_proj.weight",
        "value": 5.876 / (1 + place),
        "rank": 10**place,
        "of": 884_736,
        "share": 0.97,
        "over_channels": 1890.0,
        "over_blocks": 310.0,
        "prompts": 3,
        "round": 1,
        "companion_of": "",
        "label": f"cancels {ONE}" if place == 1 else "",
        "verdict": "super weight" if place == 0 else "spike only",
        "sentences": [f"Zeroing ({ONE}) multiplies perplexity by 6.05."] if place == 0 else [],
    }


def _interventions() -> list[InterventionRow]:
    rows = [_intervention("", "", "none", None, "as it is", 1.0)]
    rows += [_intervention(ONE, *change) for change in CHANGES]
    return rows + [_intervention(name, "weight", "scale", 0.0, "zeroed", 0.996) for name in FOUND[1:]]


def _intervention(
    coordinate: str, group: str, kind: str, factor: float | None, label: str, ratio: float
) -> InterventionRow:
    def around(value: float, half: float) -> Estimate:
        return {"value": value, "low": value - half, "high": value + half}

    return {
        "key": "0" * 64,
        "group": group,
        "kind": kind,
        "coordinate": coordinate,
        "factor": factor,
        "label": label,
        "words": f"({coordinate}) {label}",
        "perplexity": around(BASE * ratio, 2.0),
        "bits_per_byte": 0.987 * math.log(BASE * ratio) / math.log(BASE),
        "ratio": around(ratio, 0.002 * ratio),
        "difference": around(math.log(ratio), 0.002),
        "worse": BLOCKS if ratio > 1 else 18,
        "blocks": BLOCKS,
        "stop_words": None if factor else around(-0.12, 0.01),
    }
