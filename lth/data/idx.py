"""The idx format of MNIST and sets like it: a magic number, the sizes, then the values, big-endian, often gzipped."""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**30
"""Bytes that a gzipped file may hold; MNIST's largest has 47 million."""

# Third byte of the magic number -> numpy dtype of the values.
IDX_DTYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path, num_dimensions: int | None = None) -> NDArray[np.generic]:
    """Read the array in an idx file, in the machine's byte order; a name that ends in .gz is unpacked on the way.

    Args:
        path: the file.
        num_dimensions: the number of dimensions that the caller expects; None takes any.
    Raises:
        ValueError: if the file cannot be read, is no idx file, has another number of dimensions, or is shorter or
            longer than its header says.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES:
        hint = " It looks gzipped: give it a name that ends in .gz." if content[:2] == b"\x1f\x8b" else ""
        raise ValueError(
            f"{path} is not an idx file: it begins with the bytes '{content[:4].hex(' ')}', expected 00 00, "
            f"a type in {', '.join(f'{code:02x}' for code in IDX_DTYPES)}, and the number of dimensions.{hint} "
            "Fetch the file again"
        )
    stored_dimensions = content[3]
    if num_dimensions is not None and stored_dimensions != num_dimensions:
        raise ValueError(
            f"{path} holds an array of {stored_dimensions} dimensions, expected {num_dimensions}: "
            "are the files of images (3) and labels (1) exchanged?"
        )
    header_length = 4 + 4 * stored_dimensions
    if len(content) < header_length:
        raise ValueError(
            f"{path} is truncated: found {len(content)} bytes, expected {header_length} for the header alone. "
            "Fetch the file again"
        )
    # Python integers: sizes that a damaged header makes up must not overflow.
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in range(4, header_length, 4))
    dtype = np.dtype(IDX_DTYPES[content[2]])
    expected = header_length + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        state = "is truncated" if len(content) < expected else "has trailing bytes"
        raise ValueError(
            f"{path} {state}: found {len(content)} bytes, expected {expected} for shape {shape} of {dtype.name}. "
            "Fetch the file again"
        )
    values = np.frombuffer(content, dtype=dtype, offset=header_length).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def unzipped(raw: bytes) -> bytes:
    """Return what a gzip stream holds, up to LARGEST bytes.

    Raises:
        OSError, EOFError, zlib.error: if it is damaged, or holds more.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(f"it holds more than {LARGEST:,} bytes")
    return content


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): check that it exists and is readable") from error
    if path.suffix != ".gz":
        return raw
    if raw[:2] != b"\x1f\x8b":
        raise ValueError(
            f"{path} is not gzip: it begins with the bytes '{raw[:2].hex(' ')}', expected 1f 8b. "
            "If it was unpacked already, take .gz off its name; otherwise fetch the file again"
        )
    try:
        return unzipped(raw)
    except EOFError as error:
        raise ValueError(
            f"{path} is truncated: its gzip stream ends early, after {len(raw)} bytes. Fetch the file again"
        ) from error
    except (OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: its gzip stream fails with '{error}'. Fetch the file again") from error
