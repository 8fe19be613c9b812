"""Pickles are read without running them: plain values and arrays of numbers, nothing else."""

import collections
import datetime
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth.data.pickles import read_pickle

VALUES: dict[Any, Any] = {
    b"batch_label": b"training batch 1 of 5", "labels": [6, 9, -3, 70_000, 2**40], b"some": ("a", True, None, 1.5, ()),
    "nested": {"list": [[], [1]], 3: b"\xff"}, "empty": b"",
}  # fmt: skip


def written(path: Path, value: Any, protocol: int) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_values_and_arrays_in_every_format(tmp_path: Path, protocol: int) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    given = VALUES | {"x": array, "again": array, "floats": np.asfortranarray(np.eye(3, 2)), "whole": np.arange(3)[::2]}
    found = read_pickle(written(tmp_path / "values", given, protocol))
    assert found.keys() == given.keys()
    for name, value in given.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)
            assert found[name].flags.writeable
        else:
            assert found[name] == value


def test_strings_of_python_2_come_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\x09eU\x04nameT\x03\x00\x00\x00a\xe9bu."
    )
    assert read_pickle(tmp_path / "old") == {b"labels": [6, 9], b"name": b"a\xe9b"}


class Runs:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    path = written(tmp_path / "runs", {"x": Runs(tmp_path / "made")}, protocol)
    with pytest.raises(ValueError, match=r"it holds 'posix.mkdir', and only plain values and numpy arrays"):
        read_pickle(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (datetime.date(2020, 1, 1), "it holds 'datetime.date'"),
        ([collections.OrderedDict()], "it holds 'collections.OrderedDict'"),
        (np.array([1, "a"], object), "an array of type 'O8', and only numbers"),
        (np.zeros(2, "datetime64[s]"), "an array of type 'M8', and only numbers"),
        (np.zeros(2, [("a", "i4")]), "an array of type 'V4', and only numbers"),
        (np.float64(3.0), "it holds 'numpy._core.multiarray.scalar'"),
        ([np.ndarray], "it holds a function, a type or an array without values"),
        ({1, 2}, "it holds the step EMPTY_SET|it holds '__builtin__.set'"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_types_are_refused_by_name(tmp_path: Path, value: Any, message: str, protocol: int) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_pickle(written(tmp_path / "other", value, protocol))
    assert "\n" not in str(caught.value)
    assert "it was not read" in str(caught.value)


def test_an_array_that_claims_more_than_its_bytes(tmp_path: Path) -> None:
    content = pickle.dumps(np.zeros((2, 3), np.uint8), 2)
    at = content.index(b"K\x02K\x03\x86")
    (tmp_path / "large").write_bytes(content[:at] + b"J\xff\xff\xff\x7fK\x03\x86" + content[at + 5 :])
    with pytest.raises(ValueError, match=r"an array of shape \(2147483647, 3\) does not fit the 6 bytes"):
        read_pickle(tmp_path / "large")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x02}", b"\x80\x02(.", b"\x80\x02h\x07.", b"\x80\x02K\x01K\x02R.", b"not a pickle", b"\x80\x02]]s.",
     b"\x80\x02B" + struct.pack("<I", 2**31) + b"a."],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(ValueError, match="damaged") as caught:
        read_pickle(tmp_path / "damaged")
    assert "\n" not in str(caught.value)


TEXT = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x00" + b"X\x06\x00\x00\x00latin1q\x01"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02](" + TEXT + b"c_codecs\nencode\nh\x00h\x01\x86R" * 200 + b"e.", "many times the bytes"),
        (b"\x80\x02(" + b"}" * 2**10, "it has more than 1,000 steps: it is another file"),
        (b"\x80\x02c" + b"a" * 500 + b"\nb\n.", f"it holds '{80 * 'a'}', and only plain values"),
    ],
)
def test_a_small_file_makes_nothing_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    """Bytes that are used again and again, lists without end, names as long as the file."""
    monkeypatch.setattr("lth.data.pickles.STEPS", 1000)
    (tmp_path / "small").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_pickle(tmp_path / "small")


def test_an_array_of_more_axes_than_there_are(tmp_path: Path) -> None:
    content = pickle.dumps(np.zeros((2, 3), np.uint8), 2)
    (tmp_path / "axes").write_bytes(content.replace(b"K\x02K\x03\x86", b"(" + b"J\xff\xff\xff\x7f" * 33 + b"t"))
    with pytest.raises(ValueError, match="an array of shape unknown does not fit the 6 bytes"):
        read_pickle(tmp_path / "axes")


def test_size_is_bounded(tmp_path: Path) -> None:
    path = written(tmp_path / "large", list(range(100)), 2)
    with pytest.raises(ValueError, match="expected 50 at most: it is another file"):
        read_pickle(path, largest=50)
