"""A folder of tokens as data: memory-mapped, never read whole."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lth.data.tokens.bpe import VOCABULARY as GPT2_VOCABULARY
from lth.data.tokens.document import FILE, PartDocument, TokensDocument, read_document
from lth.data.tokens.tokenizer import Ids, Tokenizer
from lth.data.types import Data
from lth.data.windows import Windows, mapped

PIECE = 1 << 25
"""Bytes read at a time."""
NEEDED = ("train", "val")
PARTS = (*NEEDED, "test")


def load_tokens(folder: Path, block: int = 64, name: str | None = None) -> Data:
    """Load a folder of tokens, as `lth data prepare` or nanoGPT writes it, for language modelling.

    `train.bin` is the training part and `val.bin` the test part; where there is a `test.bin`, that is the test part and
    `val.bin` the source's own validation part. Examples are windows, one after the other. The files are memory-mapped,
    and the windows know them by path.

    `tokens.json` tells vocabulary, tokenizer and bytes per token. Without it (nanoGPT's own folders) the files are read
    through once: the vocabulary is GPT-2's if there are ids above 255 and all are below 50,257, else the largest id and
    one. `meta.pkl` is never read: a pickle may run anything.

    Args:
        folder: the folder.
        block: tokens of an example.
        name: for reports [default: the folder's name].
    Raises:
        ValueError: if a file is missing, is not as `tokens.json` says, or too short for one window.
    """
    if block < 1:
        raise ValueError(f"block is {block}: an example has 1 token or more")
    opened = open_folder(folder)
    windows = {part: Windows(ids, block, content=opened.digests[part]) for part, ids in opened.ids.items()}
    for part, some in windows.items():
        if not len(some):
            raise ValueError(
                f"{folder / part}.bin has {len(some.tokens):,} tokens: fewer than one window of {block} and the next "
                f"token. Choose a smaller block, as {folder}:block=8"
            )
    parts = {"train": windows["train"], "test": windows.get("test", windows["val"])}
    if "test" in windows:
        parts["validation"] = windows["val"]
    facts: dict[str, float] = {"vocabulary": opened.vocabulary, "block": block}
    if opened.document is not None:
        last = opened.document.parts["test" if "test" in windows else "val"]
        facts["bytes_per_token"] = last.bytes / last.tokens
    tokenizer = None if opened.document is None else opened.document.tokens
    return Data(folder.resolve().name if name is None else name, parts, facts, "language-model", tokenizer)


def tokenizer_of(source: Data | Path | str) -> Tokenizer:
    """Return the tokenizer of data, or of a folder of tokens.

    Raises:
        ValueError: if it is not known.
    """
    if isinstance(source, Data):
        known, name = source.tokenizer, source.name
    else:
        document = read_document(Path(source))
        known, name = None if document is None else document.tokens, str(source)
    if known is None:
        raise ValueError(f"what the tokens of {name} stand for is not known: it has no {FILE} of `lth data prepare`")
    return known


@dataclass(frozen=True, slots=True)
class TokenFolder:
    """An open folder of tokens.

    Attributes:
        ids: by part (train, val, test), memory-mapped, (token,) uint16.
        digests: by part, the SHA-256 of the file, in hex.
        vocabulary: number of different tokens.
        document: what `tokens.json` says; None where there is none.
    """

    ids: dict[str, Ids]
    digests: dict[str, str]
    vocabulary: int
    document: TokensDocument | None


def open_folder(folder: Path) -> TokenFolder:
    """Open a folder of tokens.

    Raises:
        ValueError: if a file is missing, damaged, or not of the size that `tokens.json` says.
    """
    document = read_document(folder)
    if document is None:
        return _open_nanogpt(folder)
    if not set(NEEDED) <= document.parts.keys() <= set(PARTS):  # before a file of that name is looked for
        raise ValueError(f"{folder / FILE} speaks of the parts {', '.join(document.parts)}; train and val are needed")
    ids = {part: _mapped(folder / f"{part}.bin", noted) for part, noted in document.parts.items()}
    digests = {part: noted.sha256 for part, noted in document.parts.items()}
    return TokenFolder(ids, digests, document.tokenizer.vocabulary, document)


def check_content(folder: Path, document: TokensDocument) -> None:
    """Check every byte of a folder of tokens against `tokens.json`.

    Raises:
        ValueError: if a file is not the one that was written.
    """
    for part, noted in document.parts.items():
        path = folder / f"{part}.bin"
        _mapped(path, noted)
        digest, largest = _read_through(path)
        if digest != noted.sha256:
            raise ValueError(f"{path} is not as {FILE} says (wrong checksum): prepare the data again")
        if largest >= document.tokenizer.vocabulary:
            raise ValueError(f"{path} has the token {largest}, of a vocabulary of {document.tokenizer.vocabulary}")


def _open_nanogpt(folder: Path) -> TokenFolder:
    has_test = (folder / "test.bin").is_file()
    ids = {part: _mapped(folder / f"{part}.bin") for part in (PARTS if has_test else NEEDED)}
    found = {part: _read_through(folder / f"{part}.bin") for part in ids}
    largest = max(each for _, each in found.values())
    has_meta = (folder / "meta.pkl").is_file()
    if has_meta:
        warnings.warn(
            f"{folder} has no {FILE}, and its meta.pkl is not read (a pickle may run anything): what its tokens stand "
            "for is unknown, and training goes on without",
            stacklevel=4,
        )
    is_gpt2 = 255 < largest < GPT2_VOCABULARY and not has_meta
    vocabulary = GPT2_VOCABULARY if is_gpt2 else largest + 1
    return TokenFolder(ids, {part: digest for part, (digest, _) in found.items()}, vocabulary, None)


def _mapped(path: Path, noted: PartDocument | None = None) -> Ids:
    """Return the tokens of a file, memory-mapped, (token,) uint16."""
    if not path.is_file():
        raise ValueError(
            f"{path} is missing: a folder of tokens has train.bin and val.bin, as `lth data prepare` makes"
        )
    size = path.stat().st_size
    if noted is not None and size != 2 * noted.tokens:
        raise ValueError(
            f"{path} has {size:,} bytes, and {FILE} says {2 * noted.tokens:,}: it is truncated or another file; "
            "prepare the data again"
        )
    if size % 2:
        raise ValueError(f"{path} has {size:,} bytes, an odd number: tokens are uint16, of two bytes each")
    if not size:
        raise ValueError(f"{path} is empty: prepare the data again")
    return mapped(path.resolve(), "<u2")


def _read_through(path: Path) -> tuple[str, int]:
    """Return the SHA-256, in hex, and the largest id of a file of tokens, a piece at a time."""
    content, largest = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            content.update(piece)
            largest = max(largest, int(np.frombuffer(piece, dtype="<u2").max()))
    return content.hexdigest(), largest
