"""The table of data sets, and the one way to load one: by name, or by the path of the user's own file or folder."""

import functools
from collections.abc import Callable
from pathlib import Path

from lth.config.arguments import check_arguments
from lth.config.choices import Table
from lth.config.errors import SettingsError
from lth.config.text import split_arguments
from lth.data.cifar import CIFAR
from lth.data.diabetes import diabetes
from lth.data.digits import digits
from lth.data.glue import GLUE, load_glue
from lth.data.hub_images import load_hub_images
from lth.data.image_folder import is_image_folder, load_image_folder
from lth.data.masked_text import load_masked_text
from lth.data.mnist import fashion_mnist, mnist
from lth.data.npz import load_npz
from lth.data.svhn import svhn
from lth.data.text import load_text, tiny_shakespeare
from lth.data.tokens.folder import load_tokens
from lth.data.types import Data

DataSet = Callable[..., Data]
"""(folder, and arguments of its own by name) -> the data."""

DATASETS: Table[DataSet] = Table(
    "data set",
    {
        "digits": digits,
        "mnist": mnist,
        "fashion-mnist": fashion_mnist,
        **CIFAR,
        "svhn": svhn,
        "hub-images": load_hub_images,
        "diabetes": diabetes,
        "tiny-shakespeare": tiny_shakespeare,
        "masked-text": load_masked_text,
        **{f"glue/{name}": functools.partial(load_glue, name) for name in GLUE},
    },
)
"""Data sets by name: the second argument of a study."""

FILES: dict[str, DataSet] = {".npz": load_npz, ".txt": load_text}
"""Readers of the user's own files, by how their names end."""


def load_data(source: str, folder: Path | None = None) -> Data:
    """Load the data set of this name, or the one in the file or folder at this path.

    Args:
        source: a name in `DATASETS`, a path that ends in .npz or .txt, a folder of tokens (train.bin, val.bin) or of
            pictures (train/CLASS/*.png, test/); what does not exist is looked for in `folder`. With arguments where it
            takes some, as `tiny-shakespeare:block=32`.
        folder: where data sets are kept, and downloaded to. Default: the environment variable LTH_DATA_DIR for what it
            holds, and the user's cache for the rest.
    Raises:
        ValueError: if there is no such data set, it takes no such argument, or it cannot be loaded.
    """
    name, arguments = split_arguments(source)
    load = _loader(name, folder)
    check_arguments("data set", name, load, arguments)
    try:
        return load(**arguments)
    except TypeError as error:
        if not arguments:
            raise
        raise ValueError(f"data set {source!r} cannot be loaded with these arguments: {error}") from error


def _loader(name: str, folder: Path | None) -> DataSet:
    """Return what loads the data set of this name, or at this path, given its arguments."""
    if name in DATASETS:
        return functools.partial(DATASETS[name], folder)
    path = Path(name).expanduser()
    inside = path if folder is None else folder.expanduser() / path
    path = inside if not path.exists() and inside.exists() else path
    if path.is_dir():
        return functools.partial(load_image_folder if is_image_folder(path) else load_tokens, path)
    for ending, reader in FILES.items():
        if name.endswith(ending):
            return functools.partial(reader, path)
    try:
        return DATASETS.pick(name)
    except SettingsError as error:
        raise SettingsError(
            f"{error}, or the path of an .npz or .txt file, or of a folder with train.bin or train/CLASS/*.png"
        ) from None
