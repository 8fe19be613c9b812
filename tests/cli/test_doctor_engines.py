"""The doctor's look at the engines."""

import pytest
import torch

from lth.cli.doctor_engines import check_linear, check_sparse, judge_linear, measure_linear
from lth.training.engines.linear import onednn_works


@pytest.mark.parametrize(
    ("path", "gain", "status", "words", "advice"),
    [
        ("onednn", 1.9, "ok", "through oneDNN, 1.90 times", ""),
        ("onednn", 0.95, "ok", "through oneDNN", ""),
        ("onednn", 0.5, "warn", "through oneDNN", "set LTH_LINEAR=torch"),
        ("torch", 0.8, "ok", "oneDNN is 0.80 times as fast", ""),
        ("torch", 1.2, "ok", "by torch's", ""),
        ("torch", 1.5, "warn", "by torch's", "set LTH_LINEAR=onednn"),
    ],
)
def test_the_way_is_held_against_its_speed(path: str, gain: float, status: str, words: str, advice: str) -> None:
    found = judge_linear(path, gain)
    assert found[0] == status
    assert words in found[1]
    assert found[2].endswith(advice)
    assert bool(found[2]) == bool(advice)


@pytest.mark.skipif(not onednn_works(), reason="this torch ships no oneDNN product")
def test_the_measurement_is_a_ratio_and_leaves_the_threads() -> None:
    threads = torch.get_num_threads()
    assert 0.01 < measure_linear(0.02) < 100
    assert torch.get_num_threads() == threads


def test_an_unknown_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTH_LINEAR", "mkl")
    status, found, advice = check_linear()
    assert (status, found) == ("fail", "LTH_LINEAR is not possible")
    assert "unknown LTH_LINEAR 'mkl'" in advice


def test_the_sparse_engine_can_run_here() -> None:
    status, found, advice = check_sparse()
    assert (status, advice) == ("ok", "")
    assert found.startswith("numba ")
