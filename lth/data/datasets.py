"""The table of data sets, and the one way to load one: by name, or by the path of the user's own file."""

import functools
from collections.abc import Callable
from pathlib import Path

from lth.config.arguments import check_arguments
from lth.config.choices import Table
from lth.config.errors import SettingsError
from lth.config.text import split_arguments
from lth.data.diabetes import diabetes
from lth.data.digits import digits
from lth.data.mnist import fashion_mnist, locate, mnist
from lth.data.npz import load_npz
from lth.data.text import load_text, locate_shakespeare, tiny_shakespeare
from lth.data.types import Data

DataSet = Callable[..., Data]
"""(folder, and arguments of its own by name) -> the data."""

DATASETS: Table[DataSet] = Table(
    "data set",
    {
        "digits": digits,
        "mnist": mnist,
        "fashion-mnist": fashion_mnist,
        "diabetes": diabetes,
        "tiny-shakespeare": tiny_shakespeare,
    },
)

ON_DISK: dict[str, Callable[[Path | None], Path | None]] = {
    "mnist": functools.partial(locate, "mnist"),
    "fashion-mnist": functools.partial(locate, "fashion-mnist"),
    "tiny-shakespeare": locate_shakespeare,
}
"""Those that are files: folder -> where they lie, None if they are not here yet. The others come with scikit-learn."""

FILES: dict[str, DataSet] = {".npz": load_npz, ".txt": load_text}
"""Readers of the user's own files, by how their names end."""


def load_data(source: str, folder: Path | None = None) -> Data:
    """Load the data set of this name, or the one in the file at this path.

    Args:
        source: a name in `DATASETS`, or a path that ends in .npz or .txt (one that does not exist is looked for in
            `folder`); with arguments where it takes some, as `tiny-shakespeare:block=32`.
        folder: where data sets are kept, and downloaded to. Default: the environment variable LTH_DATA_DIR for what it
            holds, and the user's cache for the rest.
    Raises:
        ValueError: if there is no such data set, it takes no such argument, or it cannot be loaded.
    """
    name, arguments = split_arguments(source)
    reader = next((reader for ending, reader in FILES.items() if name.endswith(ending)), None)
    if name not in DATASETS and reader is not None:
        path = Path(name).expanduser()
        if folder is not None and not path.exists() and (folder / path).is_file():
            path = folder / path
        load = functools.partial(reader, path)
    else:
        try:
            load = functools.partial(DATASETS.pick(name), folder)
        except SettingsError as error:
            raise SettingsError(f"{error}, or the path of an .npz or .txt file") from None
    check_arguments("data set", name, load, arguments)
    try:
        return load(**arguments)
    except TypeError as error:
        if not arguments:
            raise
        raise ValueError(f"data set {source!r} cannot be loaded with these arguments: {error}") from error
