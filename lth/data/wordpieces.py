"""Sentences to rows of tokens, by the tokenizer of a model."""

import sys
from array import array
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lth.config.json_text import parse_json
from lth.data.masked_text import Texts, masked_parts
from lth.data.places import roots
from lth.data.rows import Rows
from lth.data.sentences import Sentences
from lth.data.token_cache import kept_tokens
from lth.data.types import Data
from lth.data.untokenised import Untokenised

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = "vocab.txt"
"""The vocabulary of BERT, one word piece a line."""

FILES = ("tokenizer.json", VOCABULARY)
"""Names of tokenizers in a folder; the first one that is there is read."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""Tokens that BERT cannot do without."""


PIECE = 10_000
"""Examples tokenised at a time: what the package returns of each takes a hundred times the memory of its tokens."""


def needs_tokens(data: Data) -> bool:
    """Return whether the parts of a data set are texts."""
    return any(isinstance(part, Untokenised) for part in data.parts.values())


def tokenised(data: Data, place: Path | None = None, *, types: bool = True) -> Data:
    """Return a data set of rows of tokens.

    Facts gain `vocabulary` (tokens that there are) and `length` (the most that a row may have).

    Args:
        data: whose parts are `Sentences`, or `Texts`.
        place: folder of the model's tokenizer, or its file; a tokenizer that the data name goes before.
        types: whether the model tells first and second sentence apart.
    Raises:
        ValueError: if there is no tokenizer, or it cannot be read.
    """
    parts = {name: part for name, part in data.parts.items() if isinstance(part, Untokenised)}
    first = next(iter(parts.values()))
    place = first.tokenizer or place
    if place is None:
        raise ValueError(
            f"{data.name} is text, and this model brings no tokenizer: name one, as {data.name}:tokenizer=vocab.txt"
        )
    tokenizer = tokenizer_at(place)
    facts = {**data.facts, "vocabulary": tokenizer.get_vocab_size()}
    if isinstance(first, Texts):
        return replace(data, parts=masked_parts(first, tokenizer), facts=facts | {"length": first.block})
    assert isinstance(first, Sentences)
    tokenizer.enable_truncation(first.length)
    rows = {name: _rows(part, tokenizer, types) for name, part in parts.items() if isinstance(part, Sentences)}
    return replace(data, parts=rows, facts=facts | {"length": first.length})


def tokenizer_at(place: Path) -> "Tokenizer":
    """Return the tokenizer in a folder (tokenizer.json, else vocab.txt of BERT) or a file of these.

    Raises:
        ValueError: if there is none, or it cannot be read.
    """
    try:
        from tokenizers import BertWordPieceTokenizer, Tokenizer
    except ImportError as error:
        raise ValueError('tokens of sentences need the package tokenizers: pip install "lth[hf]"') from error
    file = tokenizer_file(place)
    if file is None:
        raise ValueError(
            f"{place} holds neither {' nor '.join(FILES)}: copy one there, or name it, as glue/sst2:tokenizer=FOLDER"
        )
    if file.suffix != ".json":
        _check_vocabulary(file)
    try:
        if file.suffix == ".json":
            tokenizer = Tokenizer.from_file(str(file))
        else:
            tokenizer = BertWordPieceTokenizer(str(file), lowercase=_is_lower(file))._tokenizer
    except Exception as error:  # whatever tokenizers raises
        raise ValueError(f"{file} cannot be read as a tokenizer: {' '.join(str(error).split())[:200]}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def tokenizer_file(place: Path) -> Path | None:
    """Return the file of the tokenizer in a folder, or this file; None where there is none."""
    tried = [place / name for name in FILES] if place.is_dir() else [place]
    return next((file for file in tried if file.is_file()), None)


def named_tokenizer(data: Data) -> Path | None:
    """Return the tokenizer that a data set of texts names, in place of that of the model."""
    return next((part.tokenizer for part in data.parts.values() if isinstance(part, Untokenised)), None)


def _check_vocabulary(file: Path) -> None:
    tokens = set(file.read_text(encoding="utf-8", errors="replace").split("\n"))
    missing = [name for name in SPECIAL if name not in tokens and f"{name}\r" not in tokens]
    if missing:
        raise ValueError(f"{file} lacks {', '.join(missing)}; a vocabulary of BERT has {', '.join(SPECIAL)}")


def _is_lower(file: Path) -> bool:
    """Return whether letters are made small, as tokenizer_config.json beside a vocabulary says; BERT uncased does."""
    beside = file.with_name("tokenizer_config.json")
    try:
        told = parse_json(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{beside} is no JSON ({error}): copy it again, or remove it") from error
    if not isinstance(told, dict):
        raise ValueError(f"{beside} must hold a JSON object: copy it again, or remove it")
    return bool(told.get("do_lower_case", True))


def locate_vocabulary(folder: Path | None = None) -> Path | None:
    """Return where the vocabulary of bert-base-uncased lies among the data: networks that are drawn read by it."""
    tried = [place / VOCABULARY for root in roots(folder) for place in (root / "bert-base-uncased", root)]
    return next((file for file in tried if file.is_file()), None)


def _rows(part: Sentences, tokenizer: Any, types: bool) -> Rows:
    tokenizers = sys.modules["tokenizers"]
    determined_by = f"{part.texts_digest} {tokenizer.to_str()} {types} {tokenizers.__version__}"
    held = kept_tokens(determined_by, len(part), lambda: _tokens(part, tokenizer, types))
    pad = next((i for name in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(name)) is not None), 0)
    return Rows(held["tokens"], held["starts"], part.y, held.get("types"), pad, part.buckets)


def _tokens(part: Sentences, tokenizer: Any, types: bool) -> dict[str, Tensor]:
    """Return `tokens`, `starts` and, if asked for, `types` as `Rows` has them."""
    texts: Any = part.first if part.second is None else list(zip(part.first, part.second, strict=True))
    lengths, tokens, kinds = array("q"), array("i"), array("B")
    for start in range(0, len(texts), PIECE):
        for encoded in tokenizer.encode_batch_fast(list(texts[start : start + PIECE])):
            lengths.append(len(encoded))
            tokens.extend(encoded.ids)
            if types:
                kinds.extend(encoded.type_ids)
    starts = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    starts[1:] = torch.from_numpy(np.array(lengths, dtype=np.int64)).cumsum(0)
    made = {"tokens": torch.from_numpy(np.array(tokens, dtype=np.int32)), "starts": starts}
    return made | ({"types": torch.from_numpy(np.array(kinds, dtype=np.uint8))} if types else {})
