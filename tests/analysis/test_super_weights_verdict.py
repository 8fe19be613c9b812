"""What a search for super weights concludes, and that it claims nothing of weights that no test has seen."""

from typing import Any

from lth.analysis.super_weights import Candidate, InterventionRow, SuperWeightsVerdict
from lth.analysis.super_weights_verdict import super_weights_verdict


def candidate(coordinate: str, verdict: str, companion_of: str = "") -> Candidate:
    return {
        "coordinate": coordinate, "name": "mlp.down_proj.weight", "value": 1.0, "rank": 1, "of": 100, "share": 0.9,
        "over_channels": 40.0, "over_blocks": 6.0, "prompts": 3, "round": 1, "companion_of": companion_of, "label": "",
        "verdict": verdict, "sentences": [f"Zeroing ({coordinate}) does something."],
    }  # fmt: skip


def row(coordinate: str, ratio: float | None) -> InterventionRow:
    def estimate(value: float | None) -> Any:
        return {"value": value, "low": None, "high": None}

    return {
        "key": "0", "group": "weight" if coordinate else "", "kind": "scale" if coordinate else "none",
        "coordinate": coordinate, "factor": 0.0 if coordinate else None, "label": "", "words": "",
        "perplexity": estimate(20.0), "bits_per_byte": None, "ratio": estimate(ratio), "difference": estimate(0.0),
        "worse": 1, "blocks": 4, "stop_words": None,
    }  # fmt: skip


def verdict(*candidates: Candidate, is_causal: bool = True, **ratios: float | None) -> SuperWeightsVerdict:
    coordinates = [each["coordinate"] for each in candidates if each["verdict"] != "not tested"]
    rows = [row(at, ratio) for at, ratio in zip(coordinates, ratios.values(), strict=True)]
    return super_weights_verdict("./models/net/", candidates, [row("", 1.0), *rows], is_causal=is_causal)


def test_where_all_were_tested_the_model_has_none() -> None:
    said = verdict(candidate("1,2,3", "spike only"), candidate("2,2,3", "none"), first=1.01, second=1.05)
    assert (said["word"], said["title"]) == ("spike only", "No super weight in net")
    assert said["sentences"] == [
        "None of two tested weights does what a super weight does: 1,2,3; 2,2,3.",
        "Zeroing (2,2,3) does something.",
    ]


def test_what_was_not_tested_is_not_judged() -> None:
    left = [candidate("3,2,3", "not tested"), candidate("1,5,3", "not tested", companion_of="1,2,3")]
    said = verdict(candidate("1,2,3", "spike only"), *left, first=1.01)
    assert said["title"] == "No super weight among 1 tested weight of net"
    assert said["sentences"][-1] == "Two candidates were not tested; --coordinates tests any: 3,2,3; 1,5,3."
    one = verdict(candidate("1,2,3", "none"), candidate("2,2,3", "none"), left[0], first=1.01, second=None)
    assert (one["word"], one["title"]) == ("none", "No super weight among 2 tested weights of net")
    assert one["sentences"][-2:] == [
        "Zeroing (2,2,3) does something.",
        "One candidate was not tested; --coordinates tests any: 3,2,3.",
    ]


def test_a_super_weight_is_named_whatever_was_left() -> None:
    said = verdict(candidate("1,2,3", "super weight"), candidate("3,2,3", "not tested"), first=6.0)
    assert (said["word"], said["title"]) == ("super weight", "One super weight in net")
    assert said["sentences"][0] == "1 of 1 tested weights is a super weight: 1,2,3."
    assert [tile["label"] for tile in said["tiles"]] == ["Perplexity", "Without 1,2,3", "Candidates"]


def test_without_a_test_there_is_no_verdict() -> None:
    said = super_weights_verdict("net", [candidate("1,2,3", "not tested")], [], is_causal=False)
    assert (said["word"], said["title"]) == ("not tested", "One candidate in net, not tested")
    assert said["sentences"][-1].startswith("This network predicts no next token")
    assert super_weights_verdict("net", [], [], is_causal=True)["title"] == "No spike in net"
