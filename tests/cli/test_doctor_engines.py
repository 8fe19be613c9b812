"""The doctor's look at the engines."""

import pytest
import torch

from lth.cli.doctor_engines import (
    check_blas,
    check_linear,
    check_sparse,
    judge_blas,
    judge_linear,
    measure_gflops,
    measure_linear,
)
from lth.training.engines.linear import onednn_works


@pytest.mark.parametrize(
    ("path", "gain", "status", "words", "advice"),
    [
        ("onednn", 1.9, "ok", "by oneDNN, 1.90 times as fast as torch's", ""),
        ("onednn", 0.95, "ok", "by oneDNN, slower: it takes 1.05 times as long as torch's", ""),
        ("onednn", 0.5, "warn", "by oneDNN, slower: it takes 2.00 times as long as torch's", "set LTH_LINEAR=torch"),
        ("torch", 0.8, "ok", "by torch's matrix products, 1.25 times as fast as oneDNN", ""),
        ("torch", 1.2, "ok", "by torch's matrix products, slower: it takes 1.20 times as long as oneDNN", ""),
        ("torch", 1.5, "warn", "by torch's matrix products, slower", "set LTH_LINEAR=onednn"),
    ],
)
def test_the_path_is_held_against_its_speed(path: str, gain: float, status: str, words: str, advice: str) -> None:
    found = judge_linear(path, gain)
    assert (found[0], found[2]) == (status, advice)
    assert words in found[1]
    assert ("may be noise" in found[1]) == (status == "ok" and "slower" in words)


@pytest.mark.parametrize(
    ("capability", "gflops", "status", "advice"),
    [("AVX2", 90.0, "ok", ""), ("AVX2", 1.0, "warn", "very slow"), ("DEFAULT", 1.0, "warn", "ATEN_CPU_CAPABILITY")],
)
def test_a_slow_product_is_named(capability: str, gflops: float, status: str, advice: str) -> None:
    found = judge_blas("mkl", capability, gflops)
    assert found[0] == status
    assert found[1].startswith(f"mkl, {capability}, {gflops:.0f} GFLOP/s")
    assert advice in found[2]
    assert bool(found[2]) == bool(advice)


def test_blas_of_this_torch_is_recognised() -> None:
    assert "unknown" not in check_blas()[1]


def test_speed_is_of_one_thread_and_in_gflops() -> None:
    threads = torch.get_num_threads()
    # No core does ten thousand GFLOP/s, and none that runs torch less than a hundredth of one: a wrong unit is noticed.
    assert 0.01 < measure_gflops(size=256, seconds=0.02) < 1e4
    assert torch.get_num_threads() == threads


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
