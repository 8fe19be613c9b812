"""What users call a study: a name, tags, and the commands that ran it. No key and no ID depends on them."""

import datetime
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lth.config.choices import check_choice
from lth.config.json_text import parse_json
from lth.config.labels import check_name, check_tags, may_begin_id

LABELS = "labels.json"
"""The file in a study's folder of the store."""

CHANGING = "work/.labels"
"""The folder of a store in which a process that changes labels holds a lease meanwhile."""

FORMAT = "lth.labels/1"


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
    """Return the labels in a study's folder; none where the file is missing, or, with a warning, damaged.

    No result depends on them, so that damage stops nobody.
    """
    try:
        return checked_labels(folder)
    except ValueError as error:
        warnings.warn(str(error), stacklevel=2)
        return Labels()


def checked_labels(folder: Path) -> Labels:
    """Return the labels in a study's folder that are to be changed; none where the file is missing.

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
        tags = check_tags(tuple(document["tags"]))
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
        "tags": check_tags(labels.tags),
        "commands": [{"at": each.at, "command": each.command} for each in labels.commands],
    }
    write_file(folder / LABELS, json_to_bytes(document))


def ran_now(command: str) -> Ran:
    """Return a command that runs now."""
    return Ran(datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), command)


def folders_called(name: str, store: Path) -> list[Path]:
    """Return the folders of the studies of a store that a name means: the one of that name, or those by their IDs.

    Args:
        name: of a study, or the beginning of its ID.
        store: folder of results.
    """
    folders = sorted(path for path in store.glob("studies/*") if path.is_dir()) if name else []
    if not may_begin_id(name) and (named := [each for each in folders if read_labels(each).name == name]):
        return named
    return [each for each in folders if each.name.startswith(name)]


def folder_called(name: str, store: Path) -> Path:
    """Return the folder of the one study of a store that a name means.

    Args:
        name: of the study, or the beginning of its ID.
        store: folder of results.
    Raises:
        ValueError: if there is none, or several.
    """
    folders = folders_called(name, store)
    if len(folders) > 1:
        raise ValueError(f"{name!r} is short for several studies: {', '.join(each.name for each in folders)}")
    if not folders:
        raise unknown_study(name, store)
    return folders[0]


def unknown_study(name: str, store: Path) -> ValueError:
    """Return the error for a name or ID that no study of a store has; it suggests the nearest one."""
    folders = sorted(path for path in store.glob("studies/*") if path.is_dir())
    if not folders:
        return ValueError(f"the store {store} holds no studies: name another (--store), or run `lth find-ticket`")
    names = [called for each in folders if (called := read_labels(each).name)]
    try:
        check_choice("study", name, [each for each in (*names, *(path.name for path in folders)) if each != name])
    except ValueError as error:
        return ValueError(f"{error}. `lth ls` lists the studies of the store {store}")
    raise AssertionError("a name is no choice beside itself")


def check_free(name: str | None, folder: Path) -> None:
    """Check that no other study of the store has a name.

    Args:
        name: what a study is to be called; None for nothing.
        folder: of that study.
    Raises:
        ValueError: if another is called so.
    """
    others = [] if name is None else [each for each in folders_called(name, folder.parent.parent) if each != folder]
    if others:
        raise ValueError(
            f"the name {name!r} is taken: study {others[0].name} of the store {folder.parent.parent} has it. Choose "
            f"another, or rename that one with `lth label {others[0].name} --name ...`"
        )


def add_labels(folder: Path, labels: Labels, untagged: Collection[str] = ()) -> Labels:
    """Add labels to those of a study, and return them: a name takes the place of its name, the rest comes last.

    Args:
        folder: of the study.
        labels: what is added; a command that is there already is not noted again.
        untagged: tags that are taken away.
    Raises:
        ValueError: if another study has the name, or the file is damaged.
    """
    with _one_at_a_time(folder.parent.parent):
        check_free(labels.name, folder)
        before = checked_labels(folder)
        known = {each.command for each in before.commands}
        after = Labels(
            labels.name or before.name,
            tuple(tag for tag in dict.fromkeys((*before.tags, *labels.tags)) if tag not in untagged),
            (*before.commands, *(each for each in labels.commands if each.command not in known)),
        )
        if after != before:
            write_labels(folder, after)
    return after


@contextmanager
def _one_at_a_time(store: Path) -> Iterator[None]:
    """Hold a lease meanwhile: of processes that change labels in a store, one does and the others wait."""
    from lth.lineage.lease import Leases

    place = store / CHANGING
    with Leases() as leases:
        while not leases.acquire(place):
            time.sleep(0.05)
        yield
    with suppress(OSError):  # another process has taken it
        place.rmdir()


def numbered(labels: Labels, count: int) -> list[Labels]:
    """Return the labels of several studies that one command makes: of more than one they are called NAME-1, NAME-2."""
    if labels.name is None or count == 1:
        return [labels] * count
    return [replace(labels, name=check_name(f"{labels.name}-{number}")) for number in range(1, count + 1)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged ({error}): remove it; name, tags and commands are lost, nothing else")
