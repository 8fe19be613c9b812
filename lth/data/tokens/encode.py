"""The tokens of one shard, in a file of its own: made in this process or in several, kept until all are joined."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lth.data.arrays_file import read_arrays
from lth.data.tokens.characters import different_characters
from lth.data.tokens.source import Source
from lth.data.tokens.tokenizer import Ids, Tokenizer


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with each shard.

    Attributes:
        source: the shards.
        folder: where the files of finished shards go.
        tokenizer: None only looks for the different characters.
    """

    source: Source
    folder: Path
    tokenizer: Tokenizer | None

    def file(self, shard: int) -> Path:
        """Return the path of a finished shard; existence means finished."""
        return self.folder / (f"{shard:07d}.npz" if self.tokenizer is not None else f"{shard:07d}.txt")

    def is_done(self, shard: int) -> bool:
        return self.file(shard).exists()

    def do(self, shard: int) -> int:
        """Do one shard, and return the tokens that it gave."""
        texts = self.source.shards[shard].texts()
        if self.tokenizer is None:
            found = different_characters(each.text for each in texts)
            write_whole(self.file(shard), lambda file: file.write(found.encode()))
            return 0
        tokens: dict[str, list[Ids]] = {}
        counts: dict[str, int] = {}
        end = self.tokenizer.end_of_text
        for each in texts:
            found_here = tokens.setdefault(each.part, [])
            found_here.append(self.tokenizer.encode(each.text))
            if each.ends and end is not None:
                found_here.append(np.array([end], dtype=np.uint16))
            counts[f"{each.part} bytes"] = counts.get(f"{each.part} bytes", 0) + len(each.text.encode())
            counts[f"{each.part} documents"] = counts.get(f"{each.part} documents", 0) + each.ends
        arrays: dict[str, Any] = {part: np.concatenate(some).astype("<u2") for part, some in tokens.items()}
        write_whole(self.file(shard), lambda file: np.savez(file, **(arrays | counts)))
        return sum(len(some) for some in arrays.values())


def read_shard(path: Path, part: str) -> tuple[Ids, int, int]:
    """Return the tokens of a part in a finished shard, (token,), its documents and the bytes of its text.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        stored = read_arrays(path)
        if part not in stored:
            return np.zeros(0, dtype="<u2"), 0, 0
        tokens = stored[part]
        if tokens.dtype != np.uint16 or tokens.ndim != 1:
            raise ValueError("it has no tokens")
        return tokens.astype("<u2"), int(stored[f"{part} documents"]), int(stored[f"{part} bytes"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove it, and give the same command again") from error


def do_all(work: Work, shards: Sequence[int], workers: int, done: Callable[[int], None]) -> None:
    """Do some shards, in this process if there is one worker, and say after each how many tokens it gave.

    Raises:
        ValueError: if a text cannot be read or tokenised, or a worker process died. What is finished is kept.
    """
    for tokens in _in_processes(work, shards, workers) if workers > 1 else map(work.do, shards):
        done(tokens)


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write all of a file or nothing: under a temporary name, synced, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _in_processes(work: Work, shards: Sequence[int], workers: int) -> Iterator[int]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (work,))
    try:
        futures: list[Future[int]] = [pool.submit(_do, shard) for shard in shards]
        for each in as_completed(futures):
            yield each.result()
    except BrokenProcessPool as error:
        raise ValueError(
            "a worker process died (killed, or out of memory): the same command goes on; --workers 1 needs least memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_WORK: Work | None = None
"""Of a worker process."""


def _start(work: Work) -> None:
    """Begin a worker process: Ctrl-C is its parent's, with which it ends."""
    global _WORK
    _WORK = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        sys.stderr.flush()
        os._exit(1)


def _do(shard: int) -> int:
    assert _WORK is not None
    return _WORK.do(shard)
