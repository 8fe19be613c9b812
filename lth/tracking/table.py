"""The trackers by name."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from lth.config import SettingsError, Table
from lth.tracking.tracker import Tracker


def _lazily(module: str, name: str) -> Callable[[str], Tracker]:
    """Return what makes a tracker of a module that is loaded when it is first asked for."""

    def make(argument: str) -> Tracker:
        made: Any = getattr(import_module(f"lth.tracking.{module}"), name)
        tracker: Tracker = made(argument)
        return tracker

    return make


TRACKERS: Table[Callable[[str], Tracker]] = Table(
    "tracker",
    {
        "wandb": _lazily("wandb", "WeightsAndBiases"),
        "mlflow": _lazily("mlflow", "MLflow"),
        "tensorboard": _lazily("tensorboard", "TensorBoard"),
        "trackio": _lazily("trackio", "Trackio"),
    },
)
"""Name -> what makes a tracker of the text behind the name; raises ValueError where it cannot be used."""


def tracker_of(text: str) -> Tracker:
    """Return a tracker by its name, with what stands behind it as in `mlflow:http://127.0.0.1:5000`.

    Raises:
        SettingsError: if there is none of this name, or it cannot be used as it is.
    """
    name, _, argument = text.partition(":")
    make = TRACKERS.pick(name)
    try:
        return make(argument)
    except SettingsError:
        raise
    except ValueError as error:
        raise SettingsError(f"tracker {text}: {error}") from error
