"""Damage files in every way that comes to mind, and look at what their readers make of it.

    python -m tests.faults.fuzz --seconds 60 own.npz tokens.json

A reader may give a value, or one line for people that names the file: a ValueError (settings are such), StoreError,
CommandError or UsageError. Anything else is a defect, and so is another value of a file under a checksum.
"""

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from formats import DATA, Format

from lth.cli.errors import CommandError, UsageError
from lth.lineage import StoreError

FOR_PEOPLE = (ValueError, StoreError, CommandError, UsageError)
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    1e308,
    10**30,
    "",
    "x" * 300,
    "../../etc/passwd",
    [],
    {},
    [[]],
    {"a": {}},
)
"""Values that a document does not expect."""


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Return a content with damage: cut, emptied, bytes flipped, removed, put in or exchanged, or odd JSON values."""
    way = draw.randrange(7)
    if way == 0:
        return content[: draw.randrange(len(content) + 1)]
    if way == 1 and (document := _document(content)) is not None:
        return _with_odd_value(document, draw)
    if way == 2:
        return b"[" * 100_000 if draw.random() < 0.1 else draw.randbytes(draw.randrange(64))
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 1, 3, 10))):
        place = draw.randrange(len(changed))
        if way == 3:
            changed[place] = draw.choice((0, 255, 127, 128, draw.randrange(256)))
        elif way == 4:
            changed[place : place + draw.randrange(1, 9)] = draw.randbytes(draw.randrange(9)) or b"0"
        else:
            changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _document(content: bytes) -> Any:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict | list) else None


def _with_odd_value(document: Any, draw: random.Random) -> bytes:
    """Return a document with one value exchanged, removed or added, anywhere in it."""
    here = document
    while isinstance(here, dict | list) and here:
        places = list(here) if isinstance(here, dict) else range(len(here))
        place = draw.choice(list(places))
        if not isinstance(here[place], dict | list) or not here[place] or draw.random() < 0.3:
            if draw.random() < 0.3:
                del here[place]
            else:
                here[place] = draw.choice(ODD)
            break
        here = here[place]
    return json.dumps(document).encode()


def look(form: Format, path: Path, whole: Any) -> str | None:
    """Return what is wrong with how a file is read; None if nothing is.

    Args:
        form: its kind.
        path: the file, as it is now.
        whole: what the file held before it was damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = form.read(path)
    except FOR_PEOPLE as error:
        message = str(error)
        is_named = form.name in message or path.parent.name in message
        if "\n" in message or isinstance(error, UnicodeError) or not is_named:
            return f"{type(error).__name__}, no line for people: {message[:300]!r}"
        return None
    except Exception as error:
        return f"{type(error).__name__}: {''.join(traceback.format_exception(error)[-3:])[:900]}"
    return "another value of a sealed file" if form.is_sealed and value != whole else None


def findings(form: Format, folder: Path, draws: Iterator[random.Random]) -> Iterator[str | None]:
    """Give what is wrong with how damaged files of one kind are read, one by one."""
    path = folder / form.name
    form.make(path)
    content, whole = path.read_bytes(), form.read(path)
    for draw in draws:
        path.write_bytes(damaged(content, draw))
        yield look(form, path, whole)


def _until(deadline: float, seed: int) -> Iterator[random.Random]:
    while time.monotonic() < deadline:
        seed += 1
        yield random.Random(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="kinds of files [default: all]")
    parser.add_argument("--seconds", type=float, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for form in DATA:
        if not given.names or form.name in given.names:
            with tempfile.TemporaryDirectory() as folder:
                wrong = list(findings(form, Path(folder), _until(time.monotonic() + given.seconds, given.seed)))
            counts = Counter(each for each in wrong if each is not None)
            print(f"{form.name}: {len(wrong)} files, {counts.total()} defects", flush=True)
            for what, count in counts.most_common(5):
                print(f"  {count} times: {what}", flush=True)


if __name__ == "__main__":
    main()
