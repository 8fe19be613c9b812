"""Text to token ids and back, for models of any origin: vocabularies may be larger than 65,536."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lth.data import Data
from lth.lineage.foreign import is_gguf
from lth.models.hugging_face import imported, one_line, quiet

FILES = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
"""Any of these is a tokenizer of `transformers`."""


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """A tokenizer.

    Attributes:
        encode: text to ids, without special tokens.
        decode: ids to text.
        before: ids of the special tokens that it puts before a text.
        after: and behind.
        missing: why there are no functions.
    """

    encode: Callable[[str], list[int]] | None = None
    decode: Callable[[Sequence[int]], str] | None = None
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    missing: str = ""


def codec_of(path: Path) -> Codec:
    """Return the tokenizer of a folder, or the one inside a GGUF file."""
    if not is_gguf(path) and not any((path / name).is_file() for name in FILES):
        return Codec(missing="no tokenizer.json lies beside its weights")
    try:
        return _codec(_tokenizer(path))
    except Exception as error:  # whatever transformers raises
        return Codec(missing=f"transformers cannot read it: {one_line(error)}")


def save_tokenizer(path: Path, out: Path) -> None:
    """Write the tokenizer of a folder or GGUF file as `transformers` reads it."""
    _tokenizer(path).save_pretrained(out)


def _tokenizer(path: Path) -> Any:
    place, arguments = (path.parent, {"gguf_file": path.name}) if is_gguf(path) else (path, {})
    with quiet():
        return imported().AutoTokenizer.from_pretrained(
            place, local_files_only=True, trust_remote_code=False, **arguments
        )


def _codec(tokenizer: Any) -> Codec:
    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def decode(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    plain, full = encode("a"), list(tokenizer("a", verbose=False)["input_ids"])
    start = next((at for at in range(len(full)) if full[at : at + len(plain)] == plain), len(full))
    return Codec(encode, decode, tuple(full[:start]), tuple(full[start + len(plain) :]))


def codec_of_data(data: Data) -> Codec:
    """Return the tokenizer of a data set."""
    tokenizer = data.tokenizer
    if tokenizer is None:
        return Codec(missing=f"what the tokens of {data.name} stand for is not known")

    def encode(text: str) -> list[int]:
        return [int(each) for each in tokenizer.encode(text)]

    def decode(ids: Sequence[int]) -> str:
        return tokenizer.decode(np.asarray(ids, dtype=np.uint16))

    return Codec(encode, decode)
