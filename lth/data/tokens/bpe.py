"""GPT-2's byte-pair encoding, by tiktoken, from OpenAI's own file."""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lth.data.download import download
from lth.data.places import mirrors, roots, target
from lth.data.tokens.tokenizer import Ids, check_ids

NAME = "gpt2"
FILE = "encoder.json"
FILES = (FILE, "vocab.json")
"""The same bytes under OpenAI's name, and under Hugging Face's."""
CHECKSUM = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
PUBLIC = ("https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/",)
END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 50_257
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass(frozen=True, slots=True)
class Gpt2Tokenizer:
    """GPT-2's tokens: byte pairs, and 50256 for the end of a text.

    Args:
        file: its `encoder.json`; None looks for it (see `locate_bpe`) when it is first needed.

    Source: Radford et al. 2019, "Language models are unsupervised multitask learners".
    """

    file: Path | None = None

    @property
    def name(self) -> str:
        return NAME

    @property
    def vocabulary(self) -> int:
        return VOCABULARY

    @property
    def end_of_text(self) -> int | None:
        return VOCABULARY - 1

    @property
    def digest(self) -> str:
        return CHECKSUM

    def encode(self, text: str) -> Ids:
        return np.array(self._encoding().encode_ordinary(text), dtype=np.uint16)

    def decode(self, ids: Ids) -> str:
        check_ids(ids, VOCABULARY)
        return str(self._encoding().decode([int(each) for each in ids]))

    def _encoding(self) -> Any:
        path = locate_bpe() if self.file is None else self.file
        if path is None:
            raise ValueError(f"GPT-2's {FILE} is not at hand: put it into LTH_DATA_DIR/{NAME}")
        return _encoding(path)


def gpt2(bpe: Path | None = None, folder: Path | None = None) -> Gpt2Tokenizer:
    """Return GPT-2's tokenizer, with its file checked, from disk or downloaded once.

    Args:
        bpe: folder that holds `encoder.json` (or `vocab.json`, the same bytes). Default: see `locate_bpe`.
        folder: where data sets are kept; created when something is downloaded.
    Raises:
        ValueError: if the file is missing or another one, the download fails, or tiktoken is not installed.
    """
    if bpe is not None:
        path = next((bpe / name for name in FILES if (bpe / name).is_file()), None)
        if path is None:
            raise ValueError(f"{bpe} has neither {' nor '.join(FILES)}: give the folder of GPT-2's vocabulary")
    else:
        path = locate_bpe(folder)
        if path is None:
            path = target(NAME, folder) / FILE
            download({FILE: CHECKSUM}, path.parent, mirrors(NAME, PUBLIC), NAME)
    _encoding(path)
    return Gpt2Tokenizer(path)


def locate_bpe(folder: Path | None = None) -> Path | None:
    """Return the path of GPT-2's vocabulary on disk; None if there is none. Downloads nothing.

    It is looked for in `folder/gpt2` and `folder`, then in the same places of the folder that the environment variable
    LTH_DATA_DIR names, and of the user's cache.
    """
    paths = (place / name for root in roots(folder) for place in (root / NAME, root) for name in FILES)
    return next((path for path in paths if path.is_file() and _checksum(path) == CHECKSUM), None)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.lru_cache(maxsize=1)  # it takes a third of a second
def _encoding(path: Path) -> Any:
    """Return tiktoken's encoding."""
    try:
        import tiktoken
    except ImportError as error:
        raise ValueError("GPT-2's tokens need the package tiktoken: pip install 'lth[tokens]'") from error
    if _checksum(path) != CHECKSUM:
        raise ValueError(f"{path} is not GPT-2's (wrong checksum): fetch the file again, or remove it")
    ids: dict[str, int] = json.loads(path.read_bytes())
    byte_of = _byte_of()
    ranks = {bytes(byte_of[each] for each in token): rank for token, rank in ids.items() if token != END_OF_TEXT}
    return tiktoken.Encoding(
        NAME, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: ids[END_OF_TEXT]}
    )


def _byte_of() -> dict[str, int]:
    """Return the bytes behind the characters in which the file writes tokens: blanks and controls have others."""
    shown = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
