"""Snapshots: all that one member needs to go on exactly where it was, as a safetensors file."""

import json
from dataclasses import dataclass, field

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lth.training.history import History

FORMAT = "lth.snapshot/1"


@dataclass(slots=True, eq=False)
class Snapshot:
    """One member in the middle of its training.

    Attributes:
        step: optimizer updates done.
        history: what was measured so far.
        tensors: by `role/name`: parameters and buffers (`state/`), their value at the lowest validation loss (`best/`),
            optimizer state (`optimizer/parameter/entry`), losses since the last evaluation and generator states.
    """

    step: int
    history: History
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def part(self, role: str) -> dict[str, Tensor]:
        """The tensors of one role, without its prefix."""
        prefix = f"{role}/"
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """The file's content."""
        metadata = {"format": FORMAT, "step": str(self.step), "history": self.history.model_dump_json()}
        return save({name: value.detach().cpu().contiguous() for name, value in self.tensors.items()}, metadata)


def read_snapshot(path: str) -> Snapshot:
    """The snapshot in a file.

    Raises:
        ValueError: if the file is damaged or no snapshot.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"{path} is no snapshot of a training (format {metadata.get('format')!r}); delete it to start over"
                )
            # Clones, as safetensors maps the file into memory: training must not live in a file that is overwritten.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to start this training over") from error
    return Snapshot(int(metadata["step"]), History(**json.loads(metadata["history"])), tensors)
