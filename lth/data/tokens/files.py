"""Sources in files: one text, a folder of documents, a folder with parts of its own."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lth.data.tokens.source import Cutting, Source, file_source
from lth.data.tokens.texts import (
    FileShard,
    Range,
    RowShard,
    Shard,
    count_characters,
    cut,
    offset_of,
    parquet_file,
)  # fmt: skip

ENDINGS = (".txt", ".raw", ".parquet")
OWN_PART = re.compile(r"(?:wiki\.)?(train|valid|validation|val|test)(?:[-._]\d.*)?\.(?:txt|raw|parquet)")
PART_OF = {"train": "train", "valid": "val", "validation": "val", "val": "val", "test": "test"}


def source_in_file(path: Path, cutting: Cutting, name: str | None = None) -> Source:
    """Return one file as a source: rows of a Parquet file are documents; a text is cut by its characters.

    The first 90 % of the characters (rounded down) of a text are train and the rest val, as in nanoGPT.

    Raises:
        ValueError: if the file is empty or cannot be read.
    """
    if path.suffix == ".parquet":
        return _documents(path.stem, path.parent, [path], cutting)
    size = path.stat().st_size
    total = count_characters(path)
    held = cutting.validation
    num_train = total * 9 // 10 if held is None else total - max(1, round(held * total))
    if not 0 < num_train < total:
        raise ValueError(f"{path} has {total} characters: too few for a training and a validation part")
    place = offset_of(path, num_train)
    ranges = [
        *_ranges(path, "train", 0, place, False, cutting.shard_bytes),
        *_ranges(path, "val", place, size, False, cutting.shard_bytes),
    ]
    share = 90 if held is None else 100 * (1 - held)
    split = f"the first {share:g} % of the characters are train, the rest val"
    shards = list(_gathered(ranges, cutting.shard_bytes))
    return file_source(path.stem if name is None else name, [path], path.parent, shards, split, cutting, False)


def source_in_folder(folder: Path, cutting: Cutting) -> Source:
    """Return a folder as a source.

    It holds train, valid (or validation, val) and possibly test, as .txt, .raw or .parquet files; or documents, a text
    file or a row of a Parquet file each, in this folder and those below. A single text is taken as such.

    Raises:
        ValueError: if there are no such files, or some are of no part while others are.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in ENDINGS and path.is_file() and not path.name.startswith(".")
    )
    if not files:
        raise ValueError(f"{folder} has no {', '.join(ENDINGS)} files: give a folder of texts")
    part_of = {path: part_named(path) for path in files}
    parts = set(part_of.values())
    if "train" in parts and parts & {"val", "test"}:
        strangers = [path.name for path, part in part_of.items() if part is None]
        if strangers or "val" not in parts:
            raise ValueError(
                f"{folder} has {', '.join(path.name for path, part in part_of.items() if part)}"
                + (f", and {strangers[0]}, which is none of these parts" if strangers else ", but no valid.txt")
                + ": give a folder with train, valid and possibly test, or with documents of other names"
            )
        return source_of_parts(folder.name, folder, {path: part for path, part in part_of.items() if part}, cutting)
    if len(files) == 1:
        return source_in_file(files[0], cutting)
    return _documents(folder.name, folder, files, cutting)


def part_named(path: Path) -> str | None:
    """Return the part that a file's name speaks of, as `valid.txt`, `wiki.train.raw`, `train-00-of-03.parquet`."""
    match = OWN_PART.fullmatch(path.name)
    return None if match is None else PART_OF[match[1]]


def source_of_parts(name: str, base: Path, part_of: Mapping[Path, str], cutting: Cutting) -> Source:
    """Return files that are parts: texts are streams if there is one for each part, else documents.

    Raises:
        ValueError: if a share to hold out is given, or a file cannot be read.
    """
    cutting.refuse_share(name)
    has_documents = len(part_of) > len(set(part_of.values())) or any(path.suffix == ".parquet" for path in part_of)
    ordered = [(path, part) for wanted in ("train", "val", "test") for path, part in part_of.items() if part == wanted]
    shards = _shards(ordered, cutting.shard_bytes, has_documents)
    return file_source(name, list(part_of), base, shards, "the source's own parts", cutting, has_documents)


def _documents(name: str, base: Path, files: Sequence[Path], cutting: Cutting) -> Source:
    counts = [_num_documents(path) for path in files]
    held = cutting.held(sum(counts), str(base / name) if len(files) > 1 else str(files[0]))
    shards = _shards([(path, "train") for path in files], cutting.shard_bytes, ends=True, held=held)
    return file_source(name, files, base, shards, cutting.documents_in_words(), cutting, True)


def _num_documents(path: Path) -> int:
    if path.suffix != ".parquet":
        return 1
    with parquet_file(path) as file:
        return int(file.metadata.num_rows)


def _shards(
    files: Sequence[tuple[Path, str]], size: int, ends: bool, held: frozenset[int] = frozenset()
) -> list[Shard]:
    """Return the shards of some files and their parts, in order; `held` are positions of documents that are val."""
    shards: list[Shard] = []
    first = 0
    for is_parquet, some in itertools.groupby(files, lambda file: file[0].suffix == ".parquet"):
        ranges: list[Range] = []
        for path, part in some:
            if is_parquet:
                shards += _row_shards(path, part, first, held)
                first += _num_documents(path)
            else:
                own = "val" if first in held else part
                ranges += _ranges(path, own, 0, path.stat().st_size, ends, size)
                first += 1
        shards += _gathered(ranges, size)
    return shards


def _row_shards(path: Path, part: str, first: int, held: frozenset[int]) -> list[RowShard]:
    shards = []
    with parquet_file(path) as file:
        for group in range(file.metadata.num_row_groups):
            num_rows = int(file.metadata.row_group(group).num_rows)
            here = frozenset(row for row in range(num_rows) if first + row in held) if held else frozenset()
            shards.append(RowShard(part, path, group, here))
            first += num_rows
    return shards


def _ranges(path: Path, part: str, start: int, stop: int, ends: bool, size: int) -> Iterator[Range]:
    cuts = cut(path, start, stop, size)
    for begin, end in itertools.pairwise(cuts):
        yield Range(part, path, begin, end, ends and end == stop)


def _gathered(ranges: Iterable[Range], size: int) -> Iterator[FileShard]:
    """Give ranges in shards of about this many bytes."""
    some: list[Range] = []
    total = 0
    for each in ranges:
        some.append(each)
        total += each.stop - each.start
        if total >= size:
            yield FileShard(tuple(some))
            some, total = [], 0
    if some:
        yield FileShard(tuple(some))
