"""Snapshots: all that one member needs to go on exactly where it was, as bytes with their checksum."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lth.training.history import History

FORMAT = "lth.snapshot/3"


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
        text = json.dumps(head | {"sha256": hashlib.sha256(body).hexdigest()}, allow_nan=False)
        return text.encode() + b"\n" + body


def signature_in(path: Path) -> str:
    """Return the engine's signature of the snapshot in a file, by its first line alone; empty if that is damaged."""
    return str(_head(path).get("engine", ""))


def step_in(path: Path) -> int | None:
    """Return the step of the snapshot in a file, by its first line alone; None if that is missing or damaged."""
    try:
        step = _head(path).get("step")
    except OSError:  # another process may just have moved it
        return None
    return step if isinstance(step, int) else None


def history_in(path: Path) -> History | None:
    """Return what was measured up to the snapshot in a file, by its first line alone; None as of `step_in`."""
    try:
        history = _head(path).get("history")
        return History.model_validate(history) if history is not None else None
    except (OSError, ValueError):
        return None


def _head(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        line = file.readline()
    try:
        head = json.loads(line)
    except ValueError:
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
        head = json.loads(line)
        if head["format"] != FORMAT or hashlib.sha256(body).hexdigest() != head["sha256"]:
            raise ValueError("wrong format or checksum")
        return Snapshot(head["step"], History(**head["history"]), load(body), head["engine"])
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"{name} is damaged ({error}): delete it to start this training over") from error
