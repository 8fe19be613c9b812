"""CIFAR-10 and CIFAR-100, from the folders of their authors: the version for Python, or the binary one."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lth.data.archives import fetch_archive
from lth.data.arrays import Arrays, Channels
from lth.data.pickles import read_pickle
from lth.data.places import roots
from lth.data.types import Data

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
PUBLIC = ("https://www.cs.toronto.edu/~kriz/",)
FLAG = "--allow-partial"


@dataclass(frozen=True, slots=True)
class Form:
    """One of the two forms in which a data set is published.

    Attributes:
        folder: name of its folder, in the archive too.
        train: files of the training part.
        test: file of the test part.
        beside: a further file that identifies the folder, where the names above are common words.
        archive: name of the archive.
        checksum: MD5 of the archive, as published.
    """

    folder: str
    train: tuple[str, ...]
    test: str
    beside: str
    archive: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Source:
    """One of the two data sets.

    Attributes:
        classes: number of classes.
        label: entry of the labels in the version for Python.
        label_bytes: bytes before an image of the binary version; the last one is the label.
        python: the version for Python.
        binary: the binary version.
        channels: means and deviations of the 50,000 training images.
    """

    classes: int
    label: str
    label_bytes: int
    python: Form
    binary: Form
    channels: Channels


FIVE = tuple(f"data_batch_{number}" for number in range(1, 6))
COUNTS = {"train": 50_000, "test": 10_000}
"""Images of each part."""

SOURCES = {
    "cifar-10": Source(
        classes=10,
        label="labels",
        label_bytes=1,
        python=Form(
            "cifar-10-batches-py", FIVE, "test_batch", "", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"
        ),
        binary=Form(
            "cifar-10-batches-bin",
            tuple(f"{each}.bin" for each in FIVE),
            "test_batch.bin",
            "",
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
        channels=Channels((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ),
    "cifar-100": Source(
        classes=100,
        label="fine_labels",
        label_bytes=2,
        python=Form(
            "cifar-100-python", ("train",), "test", "meta", "cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85",
        ),
        binary=Form(
            "cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
        channels=Channels((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Where a data set lies.

    Attributes:
        place: the folder.
        form: which form it is.
        train: the training files that are there, in order.
        missing: the files that are not.
    """

    place: Path
    form: Form
    train: tuple[str, ...]
    missing: tuple[str, ...]


def load_cifar(
    name: str,
    folder: Path | None = None,
    partial: bool = False,
    normalise: bool = True,
    binary: bool = False,
) -> Data:
    """Load CIFAR-10 or CIFAR-100: 50,000 training and 10,000 test images, (3, 32, 32) uint8.

    Looked for are the folders of the version for Python (`cifar-10-batches-py`) and of the binary one, in FOLDER, in
    FOLDER/NAME, and FOLDER itself; then in the same places of LTH_DATA_DIR. If there are none, the archive is unpacked,
    or downloaded and unpacked, into FOLDER/NAME (without a folder: the user's cache). Pickles are read, not run.

    Args:
        name: an entry of SOURCES.
        folder: where data sets are kept.
        partial: whether to use a folder that lacks some of the training files; a warning, and the fact `note`, say so.
        normalise: whether each channel is taken less its mean and over its deviation (of the training part as
            published); else values are 0 to 1.
        binary: which archive is downloaded.
    Raises:
        ValueError: if files are missing or damaged, or the download fails.

    Source: A. Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    source = SOURCES[name]
    found = locate_cifar(name, folder)
    if found is None:
        form = source.binary if binary else source.python
        files = (*form.train, form.test, *([form.beside] if form.beside else []))
        fetch_archive(name, folder, form.archive, f"md5:{form.checksum}", form.folder, files, PUBLIC)
        found = locate_cifar(name, folder)
        assert found is not None, "the archive has just been unpacked"
    if found.missing and (not partial or found.form.test in found.missing or not found.train):
        raise ValueError(
            f"{found.place} lacks {', '.join(found.missing)} of {name}: put them there, remove the others to have all "
            f"downloaded, or use what is there by {FLAG} (or {name}:partial=true); the test part is needed always"
        )
    read = _read_binary if found.form is source.binary else _read_python
    arrays = {
        part: [read(found.place / file, source) for file in files]
        for part, files in (("train", found.train), ("test", (found.form.test,)))
    }
    parts = {
        part: Arrays(
            {
                "x": torch.from_numpy(np.concatenate([x for x, _ in some])),
                "y": torch.from_numpy(np.concatenate([y for _, y in some])),
            },
            scale={"x": 1 / 255},
            channels={"x": source.channels} if normalise else {},
        )
        for part, some in arrays.items()
    }
    note = _note(name, {part: len(some) for part, some in parts.items()}, found, is_allowed=partial)
    return Data(name, parts, {"input_shape": SHAPE, "num_classes": source.classes} | note)


def locate_cifar(name: str, folder: Path | None = None) -> Found | None:
    """Return where the files of a data set lie, whole or in part; None if there are none. Downloads nothing.

    A whole one is preferred to one that lacks files.

    Args:
        name: an entry of SOURCES.
        folder: looked through before LTH_DATA_DIR; None looks in LTH_DATA_DIR, then in the user's cache.
    """
    partly: list[Found] = []
    for root in roots(folder):
        for form in (SOURCES[name].python, SOURCES[name].binary):
            for place in (root / form.folder, root / name / form.folder, root / name, root):
                if form.beside and place.name != form.folder and not (place / form.beside).is_file():
                    continue
                train = tuple(file for file in form.train if (place / file).is_file())
                files = (*form.train, form.test)
                missing = tuple(file for file in files if not (place / file).is_file())
                if not missing:
                    return Found(place, form, train, ())
                if len(missing) < len(files):
                    partly.append(Found(place, form, train, missing))
    return partly[0] if partly else None


def _note(name: str, counts: Mapping[str, int], found: Found, *, is_allowed: bool) -> dict[str, str]:
    """Return what is to be known of a score where images are missing, as the fact `note`.

    Raises:
        ValueError: if that is not allowed.
    """
    few = [
        f"{count:,} in place of {COUNTS[part]:,} ({part})" for part, count in counts.items() if count != COUNTS[part]
    ]
    if not few:
        return {}
    if not is_allowed:
        raise ValueError(
            f"{found.place} holds {' and '.join(few)} images of {name}: fetch the files again, or use what is there by "
            f"{FLAG} (or {name}:partial=true)"
        )
    note = f"not the whole of {name}: {' and '.join(few)} images; scores do not compare with published ones"
    warnings.warn(f"{name}: {note}", stacklevel=3)
    return {"note": note}


Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images, (image, 3, 32, 32), and their classes, (image,)."""


def _read_python(path: Path, source: Source) -> Pair:
    held = read_pickle(path)
    entries = {_text(key): value for key, value in held.items()} if isinstance(held, dict) else {}
    x, labels = entries.get("data"), entries.get(source.label)
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != PIXELS:
        raise ValueError(f"{path} has no entry 'data' of uint8, (images, {PIXELS}): it is another file")
    if not isinstance(labels, list) or not all(type(each) is int for each in labels):
        raise ValueError(f"{path} has no entry {source.label!r}, a list of whole numbers: it is another file")
    return x.reshape(-1, *SHAPE), _classes(path, np.array(labels, object), len(x), source.classes)


def _read_binary(path: Path, source: Source) -> Pair:
    size, width = path.stat().st_size, source.label_bytes + PIXELS
    if size % width or not size or size > COUNTS["train"] * width:
        raise ValueError(f"{path} has {size:,} bytes, expected images of {width:,} bytes each: fetch the file again")
    rows = np.fromfile(path, np.uint8).reshape(-1, width)
    labels = rows[:, source.label_bytes - 1]
    return rows[:, source.label_bytes :].reshape(-1, *SHAPE), _classes(path, labels, len(rows), source.classes)


def _classes(path: Path, labels: NDArray[np.generic], images: int, classes: int) -> NDArray[np.int64]:
    if len(labels) != images or not images:
        raise ValueError(f"{path} has {images} images and {len(labels)} labels, expected as many: fetch the file again")
    if wrong := [each for each in labels.tolist() if not 0 <= each < classes]:
        raise ValueError(f"{path} has the label {wrong[0]}, expected 0 to {classes - 1}: fetch the file again")
    return labels.astype(np.int64)


def _text(key: object) -> object:
    return key.decode("latin-1") if isinstance(key, bytes) else key


CIFAR: Mapping[str, Callable[..., Data]] = {name: partial(load_cifar, name) for name in SOURCES}
