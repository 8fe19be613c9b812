"""Bytes on disk: tensors, packed masks and JSON, written whole or not at all, and read with their checksum."""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lth.sparsity import Masks, State, Weights


class StoreError(Exception):
    """The store cannot be read or written; the message says what to do."""


def weights_to_bytes(weights: Weights, metadata: dict[str, str] | None = None) -> bytes:
    """Return a safetensors file of a full state; tied tensors are written once per name."""
    return save({name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}, metadata)


def weights_from_bytes(content: bytes) -> Weights:
    """Return the state in a safetensors file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"not a whole safetensors file ({error})") from error


def weights_from_file(path: Path) -> Weights:
    """Return the tensors in a safetensors file.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return weights_from_bytes(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def pack_masks(masks: Masks) -> dict[str, torch.Tensor]:
    """Return masks bit-packed: eight entries a byte, in row-major order, most significant bit first."""
    return {name: torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1))) for name, mask in masks.items()}


def unpack_masks(packed: dict[str, torch.Tensor], shapes: dict[str, list[int]]) -> Masks:
    """Return the masks that were packed, given their shapes.

    Raises:
        ValueError: if a shape does not fit the number of bytes.
    """
    masks: Masks = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape, dtype=np.int64))
        if name not in packed or packed[name].numel() != (size + 7) // 8:
            raise ValueError(f"the packed mask of {name!r} does not hold {size} entries")
        bits = np.unpackbits(packed[name].numpy(), count=size)
        masks[name] = torch.from_numpy(bits.astype(bool)).reshape(shape)
    return masks


def state_digest(state: State) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes of a state, in the order of the names."""
    content = hashlib.sha256()
    for name, value in sorted(state.items()):
        content.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()


def json_to_bytes(value: Any) -> bytes:
    """Return indented JSON, with a newline at the end; NaN is an error."""
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def write_file(path: Path, content: bytes) -> None:
    """Write all of a file or nothing: under a temporary name, synced, then renamed.

    Raises:
        StoreError: if the disk is full or not writable; what was there before is left.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        try:
            _write_synced(temporary, content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_synced(temporary, content)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def _write_synced(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove_stale(paths: Iterable[Path], seconds: float) -> None:
    """Remove files and folders that nobody touched for so long: what killed processes left of a write."""
    for path in paths:
        with contextlib.suppress(OSError):  # another process may have removed it, or renamed it as it should
            if time.time() - path.stat().st_mtime > seconds:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def cannot_write(path: Path, error: OSError) -> StoreError:
    """Return the error for a failed write, with what to do."""
    return StoreError(
        f"cannot write {path}: {error.strerror or error}. Finished work is kept; free space there or make it writable, "
        "or name another folder with --store or --out, and run the same command again"
    )
