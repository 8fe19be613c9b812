"""Tokens of texts, kept in the user's cache: a corpus is tokenised once by each tokenizer."""

import contextlib
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lth.data.places import cache
from lth.data.tokens.encode import write_whole

LEAST = 5_000
"""Examples from which on tokens are kept: fewer take a tenth of a second."""

Tensors = dict[str, Tensor]


def kept_tokens(determined_by: str, num_examples: int, make: Callable[[], Tensors]) -> Tensors:
    """Return the tokens that `make` gives: read where they were kept, else made, and kept.

    A damaged file is named in a warning and made anew; where the cache cannot be written, nothing is kept.

    Args:
        determined_by: all that determines them: texts, tokenizer, length.
        num_examples: of the texts.
        make: what makes them.
    """
    if num_examples < LEAST:
        return make()
    file = cache() / "tokens" / f"{hashlib.sha256(determined_by.encode()).hexdigest()}.safetensors"
    if file.is_file():
        try:
            return _read(file)
        except (SafetensorError, OSError, ValueError) as error:
            warnings.warn(f"{file} is damaged ({error}): its tokens are made anew", stacklevel=2)
    tensors = make()
    _write(file, tensors)
    return tensors


def _read(file: Path) -> Tensors:
    with safe_open(str(file), framework="pt") as held:
        tensors = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 - not a dict
        if (held.metadata() or {}).get("digest") != _digest(tensors):
            raise ValueError("its content does not give its checksum")
    return tensors


def _write(file: Path, tensors: Tensors) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time alone
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda stream: stream.write(save(tensors, {"digest": _digest(tensors)})))


def _digest(tensors: Tensors) -> str:
    content = hashlib.sha256()
    for name in sorted(tensors):
        content.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        content.update(tensors[name].contiguous().numpy().tobytes())
    return content.hexdigest()
