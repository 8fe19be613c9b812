"""The data sets by name, and where they lie on this machine."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lth.data.cifar import SOURCES as CIFAR
from lth.data.cifar import locate_cifar
from lth.data.datasets import DATASETS
from lth.data.glue import GLUE, locate_glue
from lth.data.mnist import locate
from lth.data.shakespeare import locate_shakespeare
from lth.data.svhn import locate_svhn
from lth.data.tokens.bpe import locate_bpe
from lth.data.tokens.hub import OPENWEBTEXT
from lth.data.tokens.sources import SOURCES, locate_wikitext

NOT_HERE = "not here"


@dataclass(frozen=True, slots=True)
class Entry:
    """A data set by name.

    Attributes:
        name: its name.
        use: what the name is good for: `study`, `prepare` (tokens), `tokens` (GPT-2's vocabulary).
        where: where it lies, or `not here`; of one that cannot be used, why.
        is_usable: whether what lies there is whole, as far as its files tell.
    """

    name: str
    use: tuple[str, ...]
    where: str
    is_usable: bool = True


def catalogue(folder: Path | None = None) -> list[Entry]:
    """Return all data sets that have a name, and where each is found; nothing is downloaded.

    Args:
        folder: looked through before LTH_DATA_DIR; without it, the user's cache is looked through last.
    """
    uses: dict[str, tuple[str, ...]] = {name: ("study",) for name in DATASETS}
    for name in SOURCES:
        uses[name] = (*uses.get(name, ()), "prepare")
    uses["gpt2"] = ("tokens",)
    return [_entry(name, use, folder) for name, use in uses.items()]


def _entry(name: str, use: tuple[str, ...], folder: Path | None) -> Entry:
    if name not in FINDERS:
        return Entry(name, use, "its own code knows")
    try:
        found = FINDERS[name](folder)
    except ValueError as error:  # as of some files only
        return Entry(name, use, str(error), is_usable=False)
    return Entry(name, use, NOT_HERE if found is None else str(found))


def _with_sklearn(folder: Path | None) -> str:
    return "comes with scikit-learn"


def _cifar(name: str, folder: Path | None) -> str | None:
    found = locate_cifar(name, folder)
    return None if found is None else f"{found.place} lacks {', '.join(found.missing)}".removesuffix(" lacks ")


def _wikitext(folder: Path | None) -> str | None:
    part_of = locate_wikitext(folder)
    if not part_of:
        return None
    place = str(next(iter(part_of)).parent)
    missing = [part for part in ("train", "val", "test") if part not in part_of.values()]
    return f"{place} lacks {', '.join(missing)}" if missing else place


def _glue(name: str, folder: Path | None) -> str | None:
    found = locate_glue(name, folder)
    return None if found is None else found.place


def _openwebtext(folder: Path | None) -> Path | None:
    """Return the cache of the package `datasets`, where it keeps OpenWebText."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    place = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets") / OPENWEBTEXT.lower().replace("/", "___")
    exact = place.with_name(OPENWEBTEXT.replace("/", "___"))
    return next((each for each in (exact, place) if each.is_dir()), None)


FINDERS: Mapping[str, Callable[[Path | None], object]] = {
    "digits": _with_sklearn,
    "diabetes": _with_sklearn,
    "mnist": partial(locate, "mnist"),
    "fashion-mnist": partial(locate, "fashion-mnist"),
    **{name: partial(_cifar, name) for name in CIFAR},
    "svhn": locate_svhn,
    "tiny-shakespeare": locate_shakespeare,
    "wikitext-2": _wikitext,
    "openwebtext": _openwebtext,
    "gpt2": locate_bpe,
    **{f"glue/{name}": partial(_glue, name) for name in GLUE},
}
