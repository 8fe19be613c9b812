"""YAML files that people write: a table in each, of bounded size."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lth.config.errors import SettingsError

LARGEST = 100_000
"""Entries that a file stands for, at most."""


def read_table(path: Path, holds: str) -> dict[str, Any]:
    """Return the table in a YAML file.

    Args:
        path: the file.
        holds: what must stand in it, for the message.
    Raises:
        SettingsError: if it cannot be read, or is none.
    """
    import yaml  # here, so that help need not load it

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no text, or a date that is none
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise SettingsError(f"{path} is no YAML: {reason}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold {holds}; it holds {type(document).__name__}")
    if _num_entries(document, {}) > LARGEST:
        raise SettingsError(
            f"{path} stands for more than {LARGEST:,} entries, by names that refer to others: write fewer"
        )
    return {str(name): value for name, value in document.items()}


def _num_entries(value: object, known: dict[int, int]) -> int:
    """Return how many entries a document has where everything that it refers to (`*name`) is written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = LARGEST + 1  # where it holds itself
        known[id(value)] = 1 + sum(_num_entries(each, known) for each in _entries(value))
    return known[id(value)]


def _entries(value: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
