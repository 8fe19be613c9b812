"""MNIST and Fashion-MNIST: the same four idx files, under the names that both use, from disk or downloaded once."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lth.data.arrays import Arrays
from lth.data.download import download
from lth.data.idx import read_idx, unzipped
from lth.data.places import mirrors as usual_mirrors
from lth.data.places import roots, target
from lth.data.types import Data

NUM_CLASSES = 10
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, slots=True)
class Source:
    """Where one of the two data sets comes from.

    Attributes:
        torchvision_name: the folder that torchvision lays it into.
        mirrors: base URLs, tried in this order.
        checksums: SHA-256 of the original gzipped files, in the order of `FILES`.
        labels_checksum: SHA-256 of the unpacked training labels; tells the two data sets apart.
    """

    torchvision_name: str
    mirrors: tuple[str, ...]
    checksums: tuple[str, str, str, str]
    labels_checksum: str


SOURCES: dict[str, Source] = {
    "mnist": Source(
        torchvision_name="MNIST",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        checksums=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        labels_checksum="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "fashion-mnist": Source(
        torchvision_name="FashionMNIST",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        checksums=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        labels_checksum="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
}


def mnist(folder: Path | None = None) -> Data:
    """Load MNIST: 60,000 training and 10,000 test images of digits, (28, 28) uint8, scale 1/255. See `load_idx_images`.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
    """
    return load_idx_images("mnist", folder)


def fashion_mnist(folder: Path | None = None) -> Data:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images of clothes, (28, 28) uint8, scale 1/255.

    See `load_idx_images`.

    Source: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
    """
    return load_idx_images("fashion-mnist", folder)


def load_idx_images(name: str, folder: Path | None = None, mirrors: Sequence[str] | None = None) -> Data:
    """Load the data set of that name, from disk, or downloaded once.

    The four files, gzipped or not, are looked for in `folder/NAME`, `folder/NAME/raw`, the same two under torchvision's
    name, and `folder` itself; then in the same places of the folder that the environment variable LTH_DATA_DIR
    names. If there are none, they are downloaded into `folder/NAME` (without a folder: the user's cache).

    Args:
        name: an entry of `SOURCES`.
        folder: where data sets are kept; created when something is downloaded.
        mirrors: base URLs to download from. Default: LTH_MIRROR/NAME if that environment variable is set, else the
            public servers.
    Raises:
        ValueError: if some of the four files are missing or damaged, do not fit together or belong to another data
            set, or the download fails.
    """
    located = locate(name, folder)
    if located is None:
        located = target(name, folder)
        download(
            _pinned(name), located, usual_mirrors(name, SOURCES[name].mirrors) if mirrors is None else mirrors, name
        )
    paths = [_either(located, file) for file in FILES]
    assert all(path is not None for path in paths), f"{located} was complete a moment ago"
    x_train, y_train, x_test, y_test = (
        read_idx(path, num_dimensions=3 if "images" in path.name else 1) for path in paths if path is not None
    )
    for x, y, first in ((x_train, y_train, 0), (x_test, y_test, 2)):
        _check_pair(x, y, paths[first], paths[first + 1])
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{paths[2]} has images of {x_test.shape[1:]}, expected {x_train.shape[1:]} as in {paths[0]}: "
            "fetch the files again, all four from one place"
        )
    parts = {
        part: Arrays(
            {"x": torch.from_numpy(images), "y": torch.from_numpy(labels.astype(np.int64))}, scale={"x": 1 / 255}
        )
        for part, images, labels in (("train", x_train, y_train), ("test", x_test, y_test))
    }
    return Data(name, parts, {"input_shape": x_train.shape[1:], "num_classes": NUM_CLASSES})


def locate(name: str, folder: Path | None = None) -> Path | None:
    """Return the folder on disk that holds the four files of a data set; None if there is none. Downloads nothing.

    Args:
        name: an entry of `SOURCES`.
        folder: looked through before LTH_DATA_DIR; None looks in LTH_DATA_DIR, then in the user's cache.
    Raises:
        ValueError: if a folder holds some of the four files only, or those of another data set.
    """
    for root in roots(folder):
        incomplete: list[tuple[Path, list[str]]] = []
        for place in _places(root, name):
            missing = [file for file in FILES if _either(place, file) is None]
            if not missing:
                _check_identity(name, place)
                return place
            if len(missing) < len(FILES):
                incomplete.append((place, missing))
        if incomplete:
            place, missing = incomplete[0]
            raise ValueError(
                f"{place} holds some of the files of {name} but lacks {', '.join(missing)} (each may end in .gz): "
                "put them there, or remove the others to have all four downloaded"
            )
    return None


def _places(root: Path, name: str) -> Iterator[Path]:
    # The most specific first: `root` itself may hold the files of the other data set, which have the same names.
    for own in (name, SOURCES[name].torchvision_name):
        yield root / own
        yield root / own / "raw"
    yield root


def _either(folder: Path, file: str) -> Path | None:
    """Return the path of a file, unpacked or gzipped; None if it is not there."""
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)


def _check_identity(name: str, place: Path) -> None:
    path = _either(place, FILES[1])
    assert path is not None
    try:
        content = unzipped(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return  # reading the file properly, later, says what is wrong with it
    found = hashlib.sha256(content).hexdigest()
    for other, source in SOURCES.items():
        if other != name and found == source.labels_checksum:
            raise ValueError(
                f"{place} holds {other}, expected {name} (the files have the same names): "
                f"keep each in a folder of its own, {place / other} and {place / name}"
            )


def _check_pair(x: NDArray[np.generic], y: NDArray[np.generic], images: Path | None, labels: Path | None) -> None:
    for array, path in ((x, images), (y, labels)):
        if array.dtype != np.uint8:
            raise ValueError(f"{path} holds {array.dtype} values, expected uint8: fetch the file again")
    if len(x) != len(y):
        raise ValueError(
            f"{images} has {len(x)} images and {labels} has {len(y)} labels, expected as many of one as of the other: "
            "fetch both again, from one place"
        )
    if x.size == 0:
        raise ValueError(f"{images} is empty, of shape {x.shape}, expected at least one image: fetch the file again")
    out_of_range = np.flatnonzero(np.asarray(y) >= np.uint8(NUM_CLASSES))
    if len(out_of_range):
        raise ValueError(
            f"{labels} has the label {y[out_of_range[0]]} at position {out_of_range[0]}, "
            f"expected 0 to {NUM_CLASSES - 1}: fetch the file again"
        )


def _pinned(name: str) -> dict[str, str]:
    return {f"{file}.gz": checksum for file, checksum in zip(FILES, SOURCES[name].checksums, strict=True)}
