"""What the doctor says of GPUs: judged on what machines have, and tried on devices that are here."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cli_runs import outcome

from lth.cli.doctor_gpu import (
    Gpu,
    GpuFacts,
    find_driver,
    gpu_facts,
    judge_gpus,
    read_driver,
    run_all_reduce,
    run_products,
    runs_on,
)

WHEEL = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
"""Architectures of a usual build for CUDA 12.8."""

H100 = Gpu("NVIDIA H100 80GB HBM3", 85_029_158_912, (9, 0))
P100 = Gpu("Tesla P100-PCIE-16GB", 17_059_545_088, (6, 0))
NODE = GpuFacts("CUDA 12.8", WHEEL, "570.86.15", "2.27.5", (H100,) * 8)
CPU = GpuFacts("")


def test_a_node_in_one_line() -> None:
    status, found, advice = judge_gpus(NODE)
    assert (status, advice) == ("ok", "")
    assert found == "8 x NVIDIA H100 80GB HBM3, 79 GiB, capability 9.0; CUDA 12.8, driver 570.86.15, NCCL 2.27.5"
    assert judge_gpus(replace(NODE, devices=(H100,)), required=True)[1].startswith("NVIDIA H100 80GB HBM3, 79 GiB")


def test_a_machine_without_gpus_is_well_and_no_machine_for_a_job_that_needs_one() -> None:
    assert judge_gpus(CPU) == ("ok", "none: the CPU engines are used (this torch is built without CUDA)", "")
    laptop = GpuFacts("CUDA 12.8")
    assert judge_gpus(laptop)[:2] == (
        "ok",
        "none: the CPU engines are used (torch is built with CUDA 12.8, and no NVIDIA driver is here)",
    )
    for facts in (CPU, laptop):
        status, found, advice = judge_gpus(facts, required=True)
        assert (status, found.startswith("none that torch can use: ")) == ("fail", True)
        assert "where a GPU is" in advice


@pytest.mark.parametrize(
    ("facts", "found", "advice"),
    [
        (GpuFacts("", driver="570.86.15"), "driver 570.86.15 is here, but this torch is built without CUDA", "install"),
        (GpuFacts("CUDA 12.8", driver="470.256.02"), "driver 470.256.02 is too old for CUDA 12.8", "update the driver"),
        (GpuFacts("CUDA 13.0", driver="570.86.15"), "is too old for CUDA 13.0, which this torch", "older CUDA"),
        (GpuFacts("CUDA 12.8", driver="570.86.15", visible=""), "CUDA_VISIBLE_DEVICES='' hides", "unset it"),
        (GpuFacts("CUDA 12.8", driver="570.86.15"), "but no device shows", "ask the scheduler for a GPU"),
        (GpuFacts("CUDA 12.8", driver="570.86.15", complaints=("CUDA unknown error",)), "CUDA unknown error", "update"),
    ],
)
def test_why_torch_uses_none(facts: GpuFacts, found: str, advice: str) -> None:
    judged = judge_gpus(facts)
    assert judged[0] == "warn"
    assert found in judged[1]
    assert advice in judged[2]
    assert judge_gpus(facts, required=True) == ("fail", *judged[1:])


def test_what_may_not_work() -> None:
    status, found, advice = judge_gpus(replace(NODE, devices=(P100, P100)))
    assert (status, found[:25]) == ("warn", "2 x Tesla P100-PCIE-16GB,")
    assert advice.count("no kernels for Tesla P100-PCIE-16GB (it has sm_75, sm_80") == 1
    status, found, advice = judge_gpus(replace(NODE, nccl=None))
    assert (status, "NCCL" in found) == ("warn", False)
    assert "this torch has no NCCL" in advice
    assert judge_gpus(replace(NODE, nccl=None, devices=(H100,)))[0] == "ok"


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        (WHEEL, (9, 0), True),
        (WHEEL, (8, 9), True),  # by sm_86, of the same major version
        (WHEEL, (7, 0), False),
        (WHEEL, (12, 1), True),
        (("sm_80", "compute_80"), (9, 0), True),  # compiled as it is loaded
        (("sm_80",), (9, 0), False),
        (("sm_86",), (8, 0), False),
        (("sm_90a",), (9, 0), True),
        (("sm_100a",), (10, 3), False),
        (("sm_100f",), (10, 3), True),
        (("gfx90a", "gfx942"), (9, 4), True),
    ],
)
def test_kernels_that_run(architectures: tuple[str, ...], capability: tuple[int, int], runs: bool) -> None:
    assert runs_on(architectures, capability) is runs


def test_versions_of_drivers() -> None:
    lines = {
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024": "550.54.15",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build": "570.86.15",
        "535.183\n535.183\n": "535.183",
        "No devices were found": None,
    }
    assert {line: read_driver(line) for line in lines} == lines


def test_facts_of_this_machine() -> None:
    facts = gpu_facts()
    assert facts.driver == find_driver()
    assert bool(facts.built) == bool(torch.version.cuda or torch.version.hip)
    assert len(facts.devices) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    assert facts.visible == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_products_on_devices() -> None:
    assert run_products(["cpu"], size=64) == ("ok", "matrix products are exact on cpu", "")
    status, found, _ = run_products(["cpu", "cuda:99"], size=64)
    assert (status, found.startswith("cuda:99: ")) == ("fail", True)


def test_an_all_reduce_of_processes() -> None:
    assert run_all_reduce(["cpu", "cpu"], "gloo") == ("ok", "all-reduce by GLOO over 2 devices gives the sum", "")


def test_an_all_reduce_that_does_not_work() -> None:
    status, found, advice = run_all_reduce(["cpu"], "none")
    assert (status, found.startswith("all-reduce by NONE over 1 devices: ")) == ("fail", True)
    assert "NCCL_DEBUG" in advice
    assert run_all_reduce(["cpu"], "gloo", patience=0)[1] == "all-reduce by GLOO over 1 devices does not end within 0 s"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_job_without_a_gpu_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = outcome(capsys, "doctor", "--device", "cuda", "--store", str(tmp_path), "--json")
    assert code == 1
    failed = [check for check in json.loads(shown)["checks"] if check["status"] == "fail"]
    assert [check["name"] for check in failed] == ["GPU"]
    assert outcome(capsys, "doctor", "--device", "tpu")[0] == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
def test_a_job_with_gpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = outcome(capsys, "doctor", "--device", "cuda", "--store", str(tmp_path), "--json")
    checks = {check["name"]: check for check in json.loads(shown)["checks"]}
    assert (code, checks["product"]["status"]) == (0, "ok")
    assert ("NCCL" in checks) == (torch.cuda.device_count() > 1)
