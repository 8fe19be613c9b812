"""Windows of a token stream: example i is a slice of it, so that the stream may lie on disk."""

import hashlib
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lth.tasks.task import Batch

PIECE = 1 << 24
"""Tokens read at a time: the stream may be larger than memory."""

LARGE = 1 << 30
"""Bytes from which on a file is taken not to stay in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of a token stream: `x` and, one position ahead, `y`, (example, block) int64.

    Attributes:
        tokens: (token,) unsigned integers, in memory or memory-mapped.
        block: tokens of an example.
        stride: tokens from the beginning of an example to that of the next; None is the block, one after the other.
            Below the block examples overlap, so that those held out would be seen in part.
        content: the SHA-256, in hex, of the bytes of the tokens, where it is known: a digest then reads none.
    Raises:
        ValueError: if the stride is below 1.
    """

    tokens: NDArray[np.unsignedinteger]
    block: int
    stride: int | None = None
    content: str = ""
    _kept: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.stride is not None and self.stride < 1:
            raise ValueError(f"stride is {self.stride}: the next example begins 1 token later or more")

    @property
    def step(self) -> int:
        """Tokens from the beginning of an example to that of the next."""
        return self.block if self.stride is None else self.stride

    @property
    def digest(self) -> str:
        if "digest" not in self._kept:
            stride = "" if self.step == self.block else f" stride {self.step}"
            content = hashlib.sha256(f"{self.tokens.dtype.str} {len(self.tokens)} {self.block}{stride}".encode())
            if self.content:
                content.update(self.content.encode())
            else:
                for start in range(0, len(self.tokens), PIECE):
                    content.update(np.ascontiguousarray(self.tokens[start : start + PIECE]).data)
            self._kept["digest"] = content.hexdigest()
        return self._kept["digest"]

    @property
    def num_bytes(self) -> int:
        """Memory that the stream takes; none where it lies on disk."""
        return 0 if _place(self.tokens) is not None else self.tokens.nbytes

    def __len__(self) -> int:
        return max(0, (len(self.tokens) - 1 - self.block) // self.step + 1)

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        starts = indices.cpu().numpy() * self.step  # (example,)
        rows = self.tokens[starts[:, None] + np.arange(self.block + 1)].astype(np.int64)  # (example, block + 1)
        window = torch.from_numpy(rows).to(device)
        return {"x": window[:, :-1].contiguous(), "y": window[:, 1:].contiguous()}

    def __reduce__(self) -> tuple[object, ...]:
        place, how = _place(self.tokens), (self.block, self.stride, self.content)
        return (Windows, (self.tokens, *how)) if place is None else (_reopen, (*place, *how))


def _place(tokens: NDArray[np.unsignedinteger]) -> tuple[str, str, int, int] | None:
    """Return file, type, offset and length of a memory-mapped stream; None if it is in memory."""
    mapped = tokens if isinstance(tokens, np.memmap) else None
    if mapped is None or mapped.filename is None or _map_of(mapped) is None or not mapped.flags.c_contiguous:
        return None
    # A slice still has the offset of what it was cut from: addresses tell where it begins.
    start = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    base = np.frombuffer(_map_of(mapped), dtype=np.uint8).ctypes.data
    return str(mapped.filename), mapped.dtype.str, start + mapped.ctypes.data - base, len(mapped)


def _map_of(mapped: np.memmap[Any, Any]) -> Any:
    return mapped._mmap  # type: ignore[attr-defined]  # numpy has no public name for it


def mapped(file: Path, dtype: str, offset: int = 0, length: int | None = None) -> NDArray[np.unsignedinteger]:
    """Return the tokens in a file, memory-mapped, (token,); of a large file a window is read without its surroundings.

    Args:
        file: the file.
        dtype: of a token.
        offset: byte of the first token.
        length: number of tokens [default: to the end].
    """
    tokens = np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=None if length is None else (length,))
    if tokens.nbytes >= LARGE and hasattr(mmap, "MADV_RANDOM"):
        _map_of(tokens).madvise(mmap.MADV_RANDOM)  # else the system reads ahead what is not asked for
    return tokens


def _reopen(file: str, dtype: str, offset: int, length: int, block: int, stride: int | None, content: str) -> Windows:
    return Windows(mapped(Path(file), dtype, offset, length), block, stride, content)
