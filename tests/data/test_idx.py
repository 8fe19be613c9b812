import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lth.data.idx import read_idx

IdxBytes = Callable[[NDArray[Any]], bytes]
IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    ),
    compress=st.booleans(),
)
def test_round_trip(array: NDArray[Any], compress: bool, tmp_path: Path, idx_bytes: IdxBytes) -> None:
    content = idx_bytes(array)
    path = tmp_path / ("array.gz" if compress else "array")
    path.write_bytes(gzip.compress(content) if compress else content)
    found = read_idx(path, num_dimensions=array.ndim)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_bytes_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "by-hand"
    path.write_bytes(bytes.fromhex("00000b02 00000002 00000001 0102 fffe".replace(" ", "")))
    assert read_idx(path).tolist() == [[0x0102], [-2]]


def test_every_truncation_and_every_extra_byte_is_found(tmp_path: Path, idx_bytes: IdxBytes) -> None:
    content = idx_bytes(IMAGES)
    path = tmp_path / "damaged"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"is truncated|is not an idx file"):
            read_idx(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"damaged has trailing bytes: found 41 bytes, expected 40 for shape \(2, 3"):
        read_idx(path)


def test_every_truncation_of_a_gzip_stream_is_found(tmp_path: Path, idx_bytes: IdxBytes) -> None:
    content = gzip.compress(idx_bytes(IMAGES))
    path = tmp_path / "damaged.gz"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"is truncated|is not gzip"):
            read_idx(path)


def test_a_flipped_bit_in_a_gzip_stream_is_found(tmp_path: Path, idx_bytes: IdxBytes) -> None:
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    content[-6] ^= 1  # in the checksum
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.gz is damaged: .*CRC"):
        read_idx(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wrong-magic", b"\x89PNG\r\n", "begins with the bytes '89 50 4e 47', expected 00 00"),
        ("wrong-type", bytes([0, 0, 0x0A, 1, 0, 0, 0, 0]), "is not an idx file: .* '00 00 0a 01', expected 00 00, a"),
        (
            "packed-without-suffix",
            gzip.compress(b"anything", mtime=0),
            "It looks gzipped: give it a name that ends in .gz",
        ),
        ("unpacked.gz", bytes([0, 0, 8, 1, 0, 0, 0, 0]), "is not gzip: it begins with the bytes '00 00', expected 1f"),
        ("empty", b"", "is not an idx file"),
        (
            "huge",
            bytes([0, 0, 8, 3]) + b"\xff" * 12,
            "is truncated: found 16 bytes, expected 79228162458924105385300197391 ",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 25 else "",
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_wrong_number_of_dimensions(tmp_path: Path, idx_bytes: IdxBytes) -> None:
    path = tmp_path / "images"
    path.write_bytes(idx_bytes(IMAGES))
    with pytest.raises(ValueError, match="array of 3 dimensions, expected 1"):
        read_idx(path, num_dimensions=1)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent cannot be read \(No such file"):
        read_idx(tmp_path / "absent")
