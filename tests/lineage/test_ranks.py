"""Processes that train one network together: the same numbers as one, and they go on after a kill, in any number."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import build_ranks
import pytest
import torch

from lth.lineage import Execution, Reader, Store, Trained, build, derivation
from lth.training.ranks import ALONE, Ranks, ranks_of

HERE = Path(__file__).parent
SHARD = "--shard"


def start(size: int, store: Path, *arguments: object) -> list["subprocess.Popen[str]"]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    environment = os.environ | place | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, str(HERE / "build_ranks.py"), str(store), *map(str, arguments)]
    return [
        subprocess.Popen(command, env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True)
        for rank in range(size)
    ]


def together(size: int, store: Path, *arguments: object) -> None:
    for process in start(size, store, *arguments):
        assert process.wait(timeout=120) == 0


def results(store: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of each training, by its key."""
    targets, _ = build_ranks.jobs()
    there = Store(store)
    from lth.lineage.files import weights_from_bytes

    trained = [node for node in derivation(*targets).values() if isinstance(node, Trained)]
    assert len(trained) == 2
    return {node.key: weights_from_bytes(there.read(node, "weights.safetensors")) for node in trained}


def curves(store: Path) -> dict[str, list[float]]:
    """What the ticket's training measured on its way."""
    targets, _ = build_ranks.jobs()
    return json.loads(Store(store).read(targets[0], "metrics.json"))["curves"]  # type: ignore[no-any-return]


def metrics(store: Path) -> list[dict[str, float]]:
    targets, _ = build_ranks.jobs()
    return json.loads(Store(store).read(targets[1], "metrics.json"))["items"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("alone")
    targets, sources = build_ranks.jobs()
    build(targets, Store(store), sources, Execution(workers=0, engine="torch"))
    return store


def assert_same(one: Path, other: Path, *, exactly: bool = False) -> None:
    for key, weights in results(one).items():
        for name, value in results(other)[key].items():
            close = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-4, "atol": 1e-4}
            torch.testing.assert_close(value, weights[name], **close)  # type: ignore[arg-type]
    for mine, theirs in zip(metrics(one), metrics(other), strict=True):
        assert mine == pytest.approx(theirs, rel=0 if exactly else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_ranks_train_what_one_process_trains(size: int, alone: Path, tmp_path: Path) -> None:
    together(size, tmp_path)
    assert_same(alone, tmp_path)
    provenance = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert any(f"ranks-{size}/micro-3" in each for each in provenance)


@pytest.mark.slow
@pytest.mark.parametrize("afterwards", [2, 1])
def test_they_go_on_after_a_kill(afterwards: int, alone: Path, tmp_path: Path) -> None:
    processes = start(2, tmp_path / "killed", 15)
    assert processes[0].wait(timeout=120) == -9
    processes[1].kill()
    processes[1].wait(timeout=60)
    assert not any(Store(tmp_path / "killed").has(target) for target in build_ranks.jobs()[0])
    together(afterwards, tmp_path / "killed")
    if afterwards == 2:
        together(2, tmp_path / "undisturbed")
        assert_same(tmp_path / "undisturbed", tmp_path / "killed", exactly=True)
    assert_same(alone, tmp_path / "killed")


@pytest.mark.slow
def test_ranks_share_out_parameters(alone: Path, tmp_path: Path) -> None:
    """Masks, clip, decay and passes as in one process; 10 and 30 examples leave the second rank without a batch."""
    together(2, tmp_path, SHARD)
    assert_same(alone, tmp_path)
    for name, values in curves(alone).items():
        assert curves(tmp_path)[name][1:] == pytest.approx(values[1:], rel=1e-4)  # no loss before a step
    provenance = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert any("ranks-2/sharded/micro-3" in each for each in provenance)
    (ticket, _), sources = build_ranks.jobs()
    masks = Reader(Store(alone), sources).masks(ticket.masks)
    pruned = [results(tmp_path)[ticket.key][name][~mask] for name, mask in masks.items()]
    assert sum(len(each) for each in pruned) > 100
    assert not any(each.any() for each in pruned)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "afterwards"), [([SHARD], [SHARD]), ([SHARD], []), ([], [SHARD])])
def test_shared_out_or_not_they_go_on(before: list[str], afterwards: list[str], alone: Path, tmp_path: Path) -> None:
    """What lies on disk is whole: one process goes on with it."""
    processes = start(2, tmp_path, 15, *before)
    assert processes[0].wait(timeout=120) == -9
    processes[1].kill()
    processes[1].wait(timeout=60)
    together(2 if afterwards else 1, tmp_path, *afterwards)
    assert_same(alone, tmp_path)
    manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("manifest.json")]
    steps = [each["provenance"]["steps"] for each in manifests if each["node"]["kind"] == "Trained"]
    assert min(steps) < max(steps) == build_ranks.STEPS


def test_who_starts_ranks() -> None:
    assert ranks_of({}) == ALONE
    assert ranks_of({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == Ranks(3, 4, 1)
    step = {"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_STEP_NUM_TASKS": "8"}
    assert ranks_of(step) == Ranks(2, 8, 0)
    batch_script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}
    assert ranks_of(batch_script) == ALONE


def test_ranks_need_the_torch_engine() -> None:
    assert Execution(ranks=Ranks(0, 2)).engine == "torch"
    assert not Execution(ranks=Ranks(0, 2)).in_workers
    with pytest.raises(ValueError, match="one network over several processes, .*; found 1 process$"):
        Execution(sharded=True)
    with pytest.raises(ValueError, match="found 2 processes, --compiled, --population 3$"):
        Execution(ranks=Ranks(0, 2), sharded=True, compiled=True, population=3)
    with pytest.raises(ValueError, match="only the torch engine goes through 2 processes; found engine 'sparse'"):
        Execution(ranks=Ranks(0, 2), engine="sparse")
