"""What users call a study: a name, tags, and the commands that ran it. No key and no ID depends on them."""

import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth.config.json_text import parse_json

LABELS = "labels.json"
"""The file in a study's folder of the store."""

FORMAT = "lth.labels/1"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ran a study: when it began, and the line, as it can be given to a shell again."""

    at: str
    command: str


@dataclass(frozen=True, slots=True)
class Labels:
    """What users call a study, and the commands that ran it, the oldest first."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    commands: tuple[Ran, ...] = ()


def read_labels(folder: Path) -> Labels:
    """Return the labels in a study's folder; none where the file is missing.

    Raises:
        ValueError: if the file is damaged; the message says what to do.
    """
    path = folder / LABELS
    try:
        document = parse_json(path.read_bytes())
    except FileNotFoundError:
        return Labels()
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    try:
        if document["format"] != FORMAT:
            raise TypeError(f"its format is {document['format']!r}, not {FORMAT!r}")
        name = None if document["name"] is None else check_name(document["name"])
        tags = tuple(check_tag(tag) for tag in document["tags"])
        commands = tuple(Ran(_text(each["at"]), _text(each["command"])) for each in document["commands"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    return Labels(name, tags, commands)


def write_labels(folder: Path, labels: Labels) -> None:
    """Write the labels of a study into its folder, whole or not at all.

    Raises:
        ValueError: if a name or tag is none.
        StoreError: if the folder cannot be written.
    """
    from lth.lineage.files import json_to_bytes, write_file  # loads torch, which reading does without

    document: dict[str, Any] = {
        "format": FORMAT,
        "name": None if labels.name is None else check_name(labels.name),
        "tags": [check_tag(tag) for tag in labels.tags],
        "commands": [{"at": each.at, "command": each.command} for each in labels.commands],
    }
    write_file(folder / LABELS, json_to_bytes(document))


def ran_now(command: str) -> Ran:
    """Return a command that runs now."""
    return Ran(datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), command)


def check_name(name: str) -> str:
    """Return a name of a study, if it is one.

    Raises:
        ValueError: if it is none, or would be read as the beginning of an ID.
    """
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise ValueError(f"a name has letters, digits, '.', '_' and '-', at most 64 (found {name!r})")
    if _ID.fullmatch(name):
        raise ValueError(f"the name {name!r} reads as the beginning of an ID: give it a letter after f, or '-'")
    return name


def check_tag(tag: str) -> str:
    """Return a tag, if it is one.

    Raises:
        ValueError: if it is none.
    """
    if not isinstance(tag, str) or not _WORD.fullmatch(tag):
        raise ValueError(f"a tag has letters, digits, '.', '_' and '-', at most 64 (found {tag!r})")
    return tag


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged ({error}): remove it; name, tags and commands are lost, nothing else")
