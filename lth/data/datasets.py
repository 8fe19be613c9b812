"""The table of data sets, and the one way to load one: by name, or by the path of the user's own file."""

from collections.abc import Callable
from pathlib import Path

from lth.config.choices import check_choice
from lth.data.digits import digits
from lth.data.mnist import fashion_mnist, mnist
from lth.data.npz import load_npz
from lth.data.types import Data

DataLoaderFunction = Callable[[Path | None], Data]

DATASETS: dict[str, DataLoaderFunction] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
}


def load_data(source: str, folder: Path | None = None) -> Data:
    """The data set called `source`, or the one in the .npz file at that path.

    Args:
        source: a name in `DATASETS`, or a path that ends in .npz; a path that does not exist is looked for in `folder`.
        folder: where data sets are kept, and downloaded to. Default: the environment variable LTH_DATA_DIR for what it
            holds, and the user's cache for the rest.
    Raises:
        ValueError: if there is no such data set, or it cannot be loaded.
    """
    if source in DATASETS:
        return DATASETS[source](folder)
    if source.endswith(".npz"):
        path = Path(source).expanduser()
        if folder is not None and not path.exists() and (folder / path).is_file():
            path = folder / path
        return load_npz(path)
    try:
        check_choice("data set", source, DATASETS)
    except ValueError as error:
        raise ValueError(f"{error}, or the path of a .npz file") from None
    raise AssertionError("a known data set was not found in its table")
