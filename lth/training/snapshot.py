"""Snapshots: all that one member needs to go on exactly where it was, as bytes with their checksum."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from lth.config.json_text import parse_json
from lth.training.history import History

FORMAT = "lth.snapshot/4"

OVER = "remove it, and the training goes on from the snapshot before it, or starts over"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One member in the middle of its training.

    Attributes:
        step: optimizer steps done.
        history: what was measured so far.
        tensors: by `role/name`: training losses since the last evaluation (`losses`), and what the engine needs: the
            torch engine's are parameters and buffers (`state/`), their value at the lowest validation loss (`best/`),
            optimizer state (`optimizer/parameter/entry`) and generator states.
        signature: of the engine; another would go on with other numbers.
    """

    step: int
    history: History
    tensors: dict[str, Tensor]
    signature: str

    def part(self, role: str) -> dict[str, Tensor]:
        """Return the tensors of one role, without its prefix."""
        prefix = f"{role}/"
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """Return one line of JSON with everything but the tensors, then these as safetensors."""
        body = save({name: value.detach().cpu().contiguous() for name, value in self.tensors.items()})
        head = {"format": FORMAT, "step": self.step, "engine": self.signature, "history": self.history.model_dump()}
        return json.dumps(head | {"sha256": _checksum(head, body)}, allow_nan=False).encode() + b"\n" + body


def signature_in(path: Path) -> str:
    """Return the engine's signature of the snapshot in a file, by its first line alone; empty if it has none."""
    return str(_head(path).get("engine", ""))


def step_in(path: Path) -> int | None:
    """Return the step of the snapshot in a file, by its first line alone; None if that is missing or damaged."""
    step = _head(path).get("step")
    return step if isinstance(step, int) else None


def history_in(path: Path) -> History | None:
    """Return what was measured up to the snapshot in a file, by its first line alone; None as of `step_in`."""
    try:
        history = _head(path).get("history")
        return History.model_validate(history) if history is not None else None
    except (OSError, ValueError):
        return None


def _head(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            head = parse_json(file.readline())
    except (OSError, ValueError):  # another process may just have moved it
        return {}
    return head if isinstance(head, dict) else {}


def snapshot_from_bytes(content: bytes, name: str) -> Snapshot:
    """Return the snapshot in some bytes, its checksum verified.

    Args:
        content: as `Snapshot.to_bytes` gave it.
        name: the file's, for the message.
    Raises:
        ValueError: if it is damaged or no snapshot.
    """
    line, _, body = content.partition(b"\n")
    try:
        head = parse_json(line)
        is_ours = head["format"] == FORMAT and head.pop("sha256") == _checksum(head, body)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name} is damaged ({error}): {OVER}") from error
    if not is_ours:
        raise ValueError(f"{name} is damaged, or of another lth: {OVER}")
    return Snapshot(head["step"], History(**head["history"]), load(body), head["engine"])


def _checksum(head: dict[str, object], body: bytes) -> str:
    """Return the SHA-256, in hex, of all of a snapshot but itself."""
    content = hashlib.sha256(json.dumps(head, allow_nan=False).encode())
    content.update(body)
    return content.hexdigest()
