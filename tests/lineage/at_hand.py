"""Real models, where LTH_MODEL_DIR names a folder that holds them; tests of the others are skipped."""

import os
from pathlib import Path

import pytest

VARIABLE = "LTH_MODEL_DIR"


def at_hand(name: str, source: str) -> Path:
    """Return the file of this name under the folder of models, or the folder whose path ends so and has a config.json.

    Args:
        name: of a file, or the end of a folder's path.
        source: where the model comes from, for the reason of a skip.
    """
    root = os.environ.get(VARIABLE)
    for folder, _, files in os.walk(root, followlinks=True) if root else ():
        if name in files:
            return Path(folder, name)
        if f"{Path(folder).as_posix()}".endswith(f"/{name}") and "config.json" in files:
            return Path(folder)
    pytest.skip(f"set {VARIABLE} to a folder with {name} ({source})")
