"""The signature of an engine: all that the numbers of a training depend on besides its arguments."""

import re
from dataclasses import dataclass, replace
from typing import Self

from lth.training.stacking import STACKINGS, Stacking

_FORM = re.compile(rf"([^/]+)/([^/]+)/([1-9][0-9]*)(?:-({'|'.join(STACKINGS)}))?((?:/[^/]+)*)")


CUTS = ("ranks-", "sharded", "micro-", "chunked")
"""How paths begin that say how the work is cut: batch or parameters over processes, passes, chunks of a pass."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What snapshots and provenance keep, as text: `torch/cpu/1/onednn`, `torch/cuda/16-vmap`, `sparse/cpu/1`.

    Attributes:
        engine: its name.
        device: type of the device: `cpu` or `cuda`.
        size: members trained as one stack.
        stacking: how several are stacked; None of one alone.
        paths: how layers are computed, where that is not torch's usual way, and how the work is cut
            (`ranks-4`, `sharded`, `micro-12`, `chunked`).
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
        """Return the signature that was written as this text; None if the text is of another form (damaged, say)."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        engine, device, size, way, paths = match.groups()
        stacking = next((known for known in STACKINGS if known == way), None)
        return cls(engine, device, int(size), stacking, tuple(paths.split("/")[1:]))

    def goes_on_from(self, begun: "Signature") -> bool:
        """Return whether a training with this signature may go on from a snapshot with that one.

        How the work is cut changes rounding alone, so that a training may go on over another number of processes.
        """
        return begun._uncut == self._uncut

    @property
    def ranks(self) -> int:
        """Processes that train together."""
        found = [path.removeprefix(CUTS[0]) for path in self.paths if path.startswith(CUTS[0])]
        return int(found[0]) if found else 1

    @property
    def _uncut(self) -> "Signature":
        return replace(self, paths=tuple(path for path in self.paths if not path.startswith(CUTS)))
