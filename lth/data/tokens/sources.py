"""Sources by name, by path, or from the Hub."""

from collections.abc import Callable
from pathlib import Path

from lth.config.choices import Table
from lth.data.places import roots
from lth.data.shakespeare import SHAKESPEARE, shakespeare_file
from lth.data.tokens.files import part_named, source_in_file, source_in_folder, source_of_parts
from lth.data.tokens.hub import PREFIX, hub_source, openwebtext
from lth.data.tokens.source import Cutting, Source

WIKITEXT = "wikitext-2"


def source_of(text: str, folder: Path | None = None, cutting: Cutting | None = None) -> Source:
    """Return what a user names as a source of tokens.

    Args:
        text: an entry of SOURCES, the path of a folder, a text or a Parquet file, or `hf:OWNER/NAME` of the Hub.
        folder: where data sets are kept, and downloaded to.
        cutting: how to cut it.
    Raises:
        ValueError: if there is no such source, or it cannot be read.
    """
    cutting = Cutting() if cutting is None else cutting
    if text.startswith(PREFIX):
        return hub_source(text, cutting)
    if text in SOURCES:
        return SOURCES[text](folder, cutting)
    path = Path(text).expanduser()
    if path.is_dir():
        return source_in_folder(path, cutting)
    if path.is_file():
        return source_in_file(path, cutting)
    try:
        SOURCES.pick(text)
    except ValueError as error:
        raise ValueError(f"{error}, the path of a folder or file, or hf:OWNER/NAME") from None
    raise AssertionError("a name in the table was found above")


def locate_wikitext(folder: Path | None = None) -> dict[Path, str]:
    """Return the files of raw WikiText-2 on disk and what parts they are; none where no folder holds some.

    They are `wiki.train.raw` (or train.txt) and its like in the folder wikitext-2-raw or wikitext-2-raw-v1, or
    `wiki.train.raw` and its like in wikitext-2, whose train.txt would be the tokenised version.
    """
    for root in roots(folder):
        for place, pattern in (("-raw", "*.*"), ("-raw-v1", "*.*"), ("", "wiki.*.raw")):
            files = {path: part_named(path) for path in sorted((root / f"{WIKITEXT}{place}").glob(pattern))}
            found = {path: part for path, part in files.items() if part is not None}
            if found:
                return found
    return {}


def _tiny_shakespeare(folder: Path | None, cutting: Cutting) -> Source:
    return source_in_file(shakespeare_file(folder), cutting, SHAKESPEARE)


def _wikitext(folder: Path | None, cutting: Cutting) -> Source:
    part_of = locate_wikitext(folder)
    if set(part_of.values()) != {"train", "val", "test"}:
        found = f"{next(iter(part_of)).parent} has {', '.join(path.name for path in part_of)} only" if part_of else ""
        raise ValueError(
            f"{WIKITEXT} is not at hand{f' ({found})' if found else ''}: put wiki.train.raw, wiki.valid.raw and "
            f"wiki.test.raw into FOLDER/{WIKITEXT}-raw, and name FOLDER with --folder or LTH_DATA_DIR"
        )
    return source_of_parts(WIKITEXT, next(iter(part_of)).parent, part_of, cutting)


SOURCES: Table[Callable[[Path | None, Cutting], Source]] = Table(
    "text", {SHAKESPEARE: _tiny_shakespeare, WIKITEXT: _wikitext, "openwebtext": openwebtext}
)
