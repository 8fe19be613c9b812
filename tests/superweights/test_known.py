"""The registry of published super weights: its format, and published beside found."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from lth.superweights.coordinates import Coordinate
from lth.superweights.known import REGISTRY, Registry, model_of, of_model, place_of, registry, verify

SMOLLM = "HuggingFaceTB/SmolLM2-135M-Instruct"
NOTE = "value and effect of the 4-bit file"
AT = Coordinate(block=11, output=507, input=1229)


def test_the_registry_is_whole() -> None:
    known = registry()
    assert (len(known.weights), len(known.rows), len(known.impact)) == (28, 9, 7)
    names = [(each.model, str(each.coordinate)) for each in known.weights]
    assert len(set(names)) == len(names)
    assert {each.model for each in known.impact} <= {each.model for each in known.weights}
    assert all(each.revision for each in known.rows)
    text = REGISTRY.read_text(encoding="utf-8")
    assert all(len(json.loads(line.rstrip(","))) >= 6 for line in text.splitlines() if line.startswith('{"'))


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "llama"), ("block", -1), ("revision", "main"), ("source", ""), ("effect", {"metric": "x", "base": 0.0})],
)
def test_a_wrong_entry_is_refused(field: str, value: Any) -> None:
    document = json.loads(REGISTRY.read_text(encoding="utf-8"))
    document["weights"][0][field] = value
    with pytest.raises(ValidationError, match=field):
        Registry.model_validate(document)


def test_a_file_or_folder_of_its_name_is_the_model() -> None:
    assert model_of("models/SmolLM2-135M-Instruct.Q4_1.gguf") == SMOLLM
    assert model_of("./SmolLM2-135M") == "HuggingFaceTB/SmolLM2-135M"
    assert model_of("hub:huggyllama/llama-7b@abc") == "huggyllama/llama-7b"
    assert model_of("meta-llama/Llama-2-7b-hf") == "meta-llama/Llama-2-7b-hf"
    assert model_of("models/Llama-2-7b.Q8_0.gguf") == model_of("Llama-2-7b/") == "meta-llama/Llama-2-7b-hf"
    assert model_of("gpt2=./gpt2-medium") == "openai-community/gpt2"
    assert (place_of("gpt2=./weights"), place_of("./a=b"), place_of("gpt2")) == ("./weights", "./a=b", "gpt2")
    assert [each.output for each in of_model(registry().rows, "Qwen/Qwen2.5-3B")] == [318]


@pytest.mark.parametrize(
    "name",
    ["somebody/else", "gpt2-medium", "hub:x/distilgpt2@abc", "codellama-7b", "open_llama_7b", "Qwen2.5-3B-Instruct",
     "SmolLM2-1.7B-Instruct", "Llama-3.1-8B-Instruct", "/data/llama-7b-runs/mynet", "/data/llama-7b/mynet", "x=gpt2"],
)  # fmt: skip
def test_a_variant_is_another_model(name: str) -> None:
    assert model_of(name) is None


def test_published_beside_found() -> None:
    (row,) = verify(SMOLLM, values={AT: 5.9}, found={AT}, ratios={AT: 6.05})
    assert row.agrees is True
    assert row.coordinate == "11,507,1229"
    assert (
        row.published == "value 5.876; perplexity, first 20,480 tokens of Wikitext-2, blocks:512: 25.6 to 155; " + NOTE
    )
    assert row.here == "value 5.9; named by the forward passes; zeroing it multiplies perplexity by 6.05"
    (broken,) = verify(SMOLLM, values={}, ratios={AT: math.inf})
    assert (broken.agrees, broken.here) == (True, "zeroing it breaks the network")
    assert verify(SMOLLM, values={AT: 4.0})[0].agrees is False
    assert verify(SMOLLM, values={}, found=[])[0].agrees is False
    assert verify(SMOLLM, values={}, ratios={AT: 1.0})[0].agrees is False
    unmeasured = verify(SMOLLM, values={})[0]
    assert (unmeasured.agrees, unmeasured.here) == (None, "not measured")


def test_a_negative_control_agrees_by_doing_nothing() -> None:
    at = Coordinate(block=2, output=447, input=666)
    assert verify("openai-community/gpt2", values={at: 15.07}, ratios={at: 1.001})[0].agrees is True
    assert verify("openai-community/gpt2", values={at: 15.07}, ratios={at: 1.2})[0].agrees is False
