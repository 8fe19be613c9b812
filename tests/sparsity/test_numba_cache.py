"""Compiled code on disk: what cannot be read any more is compiled anew."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from lth.sparsity.numba_cache import cached_njit, is_cached
from doubled import double
kept = cached_njit(double)
print(is_cached(kept), kept(2), is_cached(kept))
"""


def run(folder: Path) -> str:
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(folder), *map(os.path.abspath, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def gone(version: bytes) -> bytes:
    """An index whose pickle names a module that there is not."""
    return version + b"clth.no_such_module\nNothing\n."


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_an_index_that_cannot_be_read_is_dropped(damage: str, tmp_path: Path) -> None:
    (tmp_path / "doubled.py").write_text("def double(value):\n    return 2 * value\n")
    assert run(tmp_path) == "False 4 True"
    assert run(tmp_path) == "True 4 True"
    (index,) = (tmp_path / "cache").rglob("*.nbi")
    content = index.read_bytes()
    with index.open("rb") as file:
        pickle.load(file)
        version = content[: file.tell()]
    index.write_bytes(gone(version) if damage == "gone" else content[: len(version) + 3])
    assert run(tmp_path) == "False 4 True"
    assert run(tmp_path) == "True 4 True"
