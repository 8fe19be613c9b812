"""What several rooms' tests share: real data, and one small real study."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import lth

# Tensors are small here: threads would only wait for each other, and for those of tests in other processes.
torch.set_num_threads(1)

# The same draws everywhere, and a slow machine is no error.
settings.register_profile("lth", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lth")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder with the real data sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LTH_DATA_DIR") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "mnist").is_dir():
        pytest.skip(
            f"no real data: {folder}/mnist is absent; set LTH_DATA_DIR to a folder with mnist/ and fashion-mnist/"
        )
    return folder


@pytest.fixture(scope="session")
def small_found(tmp_path_factory: pytest.TempPathFactory) -> lth.Found:
    """A small search for tickets on the digits, run for real: 3 levels, 2 replicates, both controls."""
    folder = tmp_path_factory.mktemp("small-study")
    return lth.find_ticket(
        store=folder / "store",
        out=folder / "out",
        execution=lth.Execution(workers=0),
        levels=3,
        rate=0.5,
        replicates=2,
        duration="200it",
        evaluate_every=50,
        rewind_to="20it",
        margin=0.02,
    )


@pytest.fixture(scope="session")
def small_study(small_found: lth.Found) -> Path:
    """The folder of a small real study: results.json, details.json, report.html, tickets/."""
    return small_found.folder
