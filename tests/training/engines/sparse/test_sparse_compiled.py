"""Compiled code is kept on disk until any file that it comes from changes; BLAS stays in one thread."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info
from trainings import lenet, member, run, short_training

import lth
from lth.training.engines.sparse import steps

PROGRAM = """
import numpy as np
from lth.training.engines.sparse.activations import activate
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.layout import LAYOUT
from lth.sparsity.numba_cache import is_cached
kept = is_cached(activate)
out = np.full((2, 16), -1.0)
layout = np.zeros(1, LAYOUT)
layout["activation"] = 1
activate(layout[0], out, np.uint64(0))
print(int(kept), out[0, 0])
"""


def in_fresh_process(tree: Path) -> tuple[bool, float]:
    """Whether the code was on disk before, and what it gave."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tree,
        env={name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    kept, value = found.stdout.split()
    return kept == "1", float(value)


@pytest.mark.slow
def test_code_is_forgotten_when_another_file_changes(tmp_path: Path) -> None:
    shutil.copytree(Path(lth.__file__).parent, tmp_path / "lth", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "lth/training/engines/sparse"
    assert in_fresh_process(tmp_path) == (False, 0.0)
    assert in_fresh_process(tmp_path) == (True, 0.0)
    assert list((folder / "__pycache__").glob("activations.activate*.nbc"))
    layout = folder / "layout.py"
    content = layout.read_text()
    assert "ACTIVATION_NAMES = (" in content
    layout.write_text(content + '\n\nACTIVATION_NAMES = ("relu", "identity", "tanh")\n')
    assert in_fresh_process(tmp_path) == (
        False,
        -1.0,
    )  # what 1 stands for has changed, in a file that is not the function's own


def test_blas_has_one_thread_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    train_steps = steps.train_steps

    def looked_at(*args: Any) -> Any:
        found.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return train_steps(*args)

    monkeypatch.setattr(steps, "train_steps", looked_at)
    run([member(lenet, 0, density=None)], lenet(), short_training(), engine="sparse")
    assert found
    assert set(found) == {1}
