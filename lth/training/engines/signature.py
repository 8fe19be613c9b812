"""The signature of an engine: all that the numbers of a training depend on besides its arguments."""

import re
from dataclasses import dataclass
from typing import Self

from lth.training.stacking import STACKINGS, Stacking

_FORM = re.compile(rf"([^/]+)/([^/]+)/([1-9][0-9]*)(?:-({'|'.join(STACKINGS)}))?((?:/[^/]+)*)")


@dataclass(frozen=True, slots=True)
class Signature:
    """What snapshots and provenance keep, as text: `torch/cpu/1/onednn`, `torch/cuda/16-vmap`, `sparse/cpu/1`.

    Attributes:
        engine: its name.
        device: type of the device: `cpu` or `cuda`.
        size: members trained as one stack.
        stacking: how several are stacked; None of one alone.
        paths: how layers are computed, where that is not torch's usual way.
    """

    engine: str
    device: str
    size: int = 1
    stacking: Stacking | None = None
    paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        way = "" if self.stacking is None else f"-{self.stacking}"
        return "/".join([self.engine, self.device, f"{self.size}{way}", *self.paths])

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The signature that was written as this text; None if the text is of another form (damaged, say)."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        engine, device, size, way, paths = found.groups()
        stacking = next((known for known in STACKINGS if known == way), None)
        return cls(engine, device, int(size), stacking, tuple(paths.split("/")[1:]))

    def goes_on_from(self, begun: "Signature", *, from_larger_stack: bool = False) -> bool:
        """Whether a training with this signature may go on from a snapshot with that one.

        A stack goes on in the way that it began, though by now the other way would be chosen.

        Args:
            begun: the snapshot's.
            from_larger_stack: whether a part may go on from a snapshot of the whole.
        """
        if begun == self:
            return True
        if begun.stacking is None or (begun.engine, begun.device) != (self.engine, self.device):
            return False
        if from_larger_stack and begun.size > self.size:
            return True  # rounding is another in any case, so layers may be computed in another way too
        return begun.size == self.size and begun.paths == self.paths
