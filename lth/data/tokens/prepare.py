"""From text to the tokens that nanoGPT reads: train.bin, val.bin, and tokens.json, which says what they are."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from lth.config.choices import check_choice
from lth.config.json_text import parse_json
from lth.data.tokens.bpe import gpt2
from lth.data.tokens.characters import END, Characters, different_characters
from lth.data.tokens.document import (
    FILE,
    FORMAT,
    TOKENS,
    PartDocument,
    TokensDocument,
    document_of,
    read_document,
)  # fmt: skip
from lth.data.tokens.encode import Work, do_all, read_shard, write_whole
from lth.data.tokens.source import Cutting, Source
from lth.data.tokens.sources import source_of
from lth.data.tokens.tokenizer import Tokenizer

PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a preparation is.

    Attributes:
        doing: what it does.
        share: of it that is done, 0 to 1.
        tokens: made so far, since the command began.
        seconds_left: about how long it will take; None where that cannot be told yet.
    """

    doing: str
    share: float
    tokens: int
    seconds_left: float | None


Observer = Callable[[Progress], None]


def prepare_tokens(
    source: str | Path | Source,
    out: str | Path,
    tokens: str = "gpt2",
    *,
    folder: Path | None = None,
    bpe: Path | None = None,
    validation: float | None = None,
    workers: int | None = None,
    progress: Observer | None = None,
) -> TokensDocument:
    """Write the tokens of a text as nanoGPT reads them, and return what `tokens.json` beside them says.

    `out` gets `train.bin`, `val.bin` (and `test.bin` where the source has such a part), uint16 little-endian, and
    `tokens.json`. Shards of the text are tokenised side by side and kept in `out/incoming` until all are there: after
    an interruption the same call goes on, and the bytes are the same for any number of workers. What is finished
    already is only read.

    Args:
        source: what `source_of` takes: a name, a folder, a file, `hf:OWNER/NAME`; or a source.
        out: folder to write into; it is created.
        tokens: entry of TOKENS.
        folder: where data sets are kept, and downloaded to.
        bpe: folder of GPT-2's `encoder.json` [default: looked for, and downloaded if there is none].
        validation: share to hold out [default: 0.1 of the characters of a single text, 0.0005 of the documents].
        workers: processes [default: one a core].
        progress: is told how far it is.
    Raises:
        ValueError: if the source cannot be read, has no such tokens, or `out` holds something else.
    """
    check_choice("tokens", tokens, TOKENS)
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers cannot work: give 1 or more")
    source = source if isinstance(source, Source) else source_of(str(source), folder, Cutting(validation))
    out = Path(out)
    finished = _finished(out, source, tokens)
    incoming = out / "incoming"
    if finished is not None:
        shutil.rmtree(incoming, ignore_errors=True)
        return finished
    incoming.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(incoming / "lock", timeout=0):
            _check_plan(incoming / "plan.json", {"stamp": source.stamp, "tokens": tokens})
            char = tokens == "char"
            tokenizer = _characters(source, incoming, workers, progress) if char else gpt2(bpe, folder)
            work = Work(source, incoming, tokenizer)
            _do(work, workers, "tokenising", progress)
            document = _join(work, tokenizer, out)
            shutil.rmtree(incoming)
    except Timeout as error:
        raise ValueError(f"{out} is being prepared by another process: wait for it, or give another folder") from error
    return document


def _finished(out: Path, source: Source, tokens: str) -> TokensDocument | None:
    """Return what is in `out` if it is what is asked for; None if it is nothing."""
    document = read_document(out)
    if document is None:
        if not (out / "incoming").exists() and any((out / f"{part}.bin").exists() for part in PARTS):
            raise ValueError(f"{out} holds .bin files that are not of `lth data prepare`: give another folder")
        return None
    if (document.source, document.split, document.tokenizer.name) != (dict(source.facts), source.split, tokens):
        raise ValueError(
            f"{out} holds {document.tokenizer.name} tokens of another source ({document.source.get('name')}, "
            f"{document.split}): give another folder, or remove it"
        )
    return document


def _check_plan(path: Path, plan: dict[str, Any]) -> None:
    """Note what is prepared here, or check that what was begun here is the same."""
    if path.exists():
        if _plan_in(path) != plan:
            raise ValueError(
                f"{path.parent} has pieces of another preparation (another source, split or tokens, or files that "
                "changed since): remove it, or give another folder"
            )
        return
    write_whole(path, lambda file: file.write(json.dumps(plan).encode()))


def _plan_in(path: Path) -> Any:
    """Return the plan in a file; None if it is damaged, which is another one too."""
    try:
        return parse_json(path.read_text())
    except ValueError:
        return None


def _characters(source: Source, incoming: Path, workers: int | None, progress: Observer | None) -> Characters:
    """Return the tokenizer that knows all characters of a source; what was found is kept like the tokens."""
    path = incoming / "characters.txt"
    if not path.exists():
        work = Work(source, incoming, None)
        _do(work, workers, "reading characters", progress)
        found = different_characters(read_text(work.file(shard)) for shard in range(len(source.shards)))
        found = different_characters([found, END]) if source.has_documents else found
        write_whole(path, lambda file: file.write(found.encode()))
    return Characters(read_text(path), source.has_documents)


def read_text(path: Path) -> str:
    """Return a file of characters as it is: line ends are characters too."""
    return path.read_bytes().decode()


def _do(work: Work, workers: int | None, doing: str, progress: Observer | None) -> None:
    """Do the shards that are not finished."""
    total = len(work.source.shards)
    todo = [shard for shard in range(total) if not work.is_done(shard)]
    begin, done, made = time.monotonic(), 0, 0

    def tell(tokens: int) -> None:
        nonlocal done, made
        done, made = done + 1, made + tokens
        say()

    def say() -> None:
        if progress is not None and todo:
            left = (time.monotonic() - begin) / done * (len(todo) - done) if done else None
            progress(Progress(doing, 1 - (len(todo) - done) / total, made, left))

    say()
    do_all(work, todo, min(workers or num_cores(), len(todo)), tell)


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _join(work: Work, tokenizer: Tokenizer, out: Path) -> TokensDocument:
    """Write the parts from the shards, and `tokens.json` last: it says that all is there.

    Raises:
        ValueError: if there is no training or no validation part.
    """
    parts = {part: _join_part(work, part, out) for part in PARTS}
    for part in ("train", "val"):
        if not parts[part].tokens:
            raise ValueError(f"{work.source.facts['name']} has no text for the part {part}")
    document = TokensDocument(
        format=FORMAT,
        tokenizer=document_of(tokenizer),
        parts={part: found for part, found in parts.items() if found.tokens},
        source=dict(work.source.facts),
        split=work.source.split,
    )
    text = document.model_dump_json(indent=1, exclude_none=True) + "\n"
    write_whole(out / FILE, lambda file: file.write(text.encode()))
    return document


def _join_part(work: Work, part: str, out: Path) -> PartDocument:
    """Write one part; a part without tokens leaves no file."""
    content = hashlib.sha256()
    tokens = documents = size = 0

    def write(file: BinaryIO) -> None:
        nonlocal tokens, documents, size
        for shard in range(len(work.source.shards)):
            ids, more_documents, more_bytes = read_shard(work.file(shard), part)
            content.update(ids.data)
            file.write(ids.data)
            tokens, documents, size = tokens + len(ids), documents + more_documents, size + more_bytes

    path = out / f"{part}.bin"
    write_whole(path, write)
    if not tokens:
        path.unlink()
    return PartDocument(tokens=tokens, documents=documents, bytes=size, sha256=content.hexdigest())
