"""Where trackers write in these tests, and one small real study that is told to all of them that need no server."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_runs import Tracked, tracked_run

# Read when trackio is imported; nothing else here imports it.
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp(prefix="trackio-")


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    """A small study that was told to W&B offline, TensorBoard and trackio while it was built by a worker."""
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_DIR", str(folder))
        yield tracked_run(folder, "wandb", f"tensorboard:{folder / 'runs'}", "trackio:small", workers=1)


@pytest.fixture
def wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of W&B's files."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return tmp_path
