"""How long the steps of a training took: kept beside what it measured, and in no history, which is the same every time.

A step's time is the wall time of all members that train together, evaluations not counted.
"""

from pathlib import Path
from typing import Any

from lth.config.json_text import parse_json
from lth.lineage.files import StoreError, json_to_bytes
from lth.lineage.nodes import Job
from lth.lineage.store import Store

FILE = "times.json"
FORMAT = "lth.times/1"

Times = dict[int, float]
"""Seconds of one step by the step of an evaluation: the mean since the evaluation before."""


def times_to_bytes(times: Times) -> bytes:
    steps = sorted(times)
    return json_to_bytes({"format": FORMAT, "steps": steps, "seconds": [round(times[step], 9) for step in steps]})


def times_in(path: Path) -> Times:
    """Return the times that an unfinished training left; none where there is no such file, or it is damaged."""
    try:
        return _from_bytes(path.read_bytes())
    except (OSError, ValueError):
        return {}


def times_of(job: Job, store: Store) -> Times:
    """Return the times of a finished training; none of one that kept none, as by a function of the user's.

    Raises:
        StoreError: if they are damaged.
    """
    if FILE not in store.manifest(job.key)["files"]:
        return {}
    try:
        return _from_bytes(store.read(job, FILE))
    except ValueError as error:
        raise StoreError(f"{FILE} of {job.key[:12]} cannot be read: {error}") from error


def _from_bytes(content: bytes) -> Times:
    """Return the times in the content of a file.

    Raises:
        ValueError: if it is of another format.
    """
    document = parse_json(content)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT!r}")
    steps, seconds = document.get("steps"), document.get("seconds")
    if isinstance(steps, list) and isinstance(seconds, list) and _are(int, steps) and _are(float, seconds):
        return dict(zip(steps, seconds, strict=True))
    raise ValueError("it has no lists of steps and seconds")


def _are(kind: type, values: list[Any]) -> bool:
    return all(type(each) in (kind, int) for each in values)
