"""Sentences to rows of tokens, by the tokenizer of a model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lth.data.places import roots
from lth.data.rows import Rows
from lth.data.sentences import Sentences
from lth.data.types import Data

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = "vocab.txt"
"""The vocabulary of BERT, one word piece a line."""


def needs_tokens(data: Data) -> bool:
    """Return whether the parts of a data set are texts."""
    return any(isinstance(part, Sentences) for part in data.parts.values())


def tokenised(data: Data, place: Path | None = None, *, types: bool = True) -> Data:
    """Return a data set of rows of tokens.

    Facts gain `vocabulary` (tokens that there are) and `length` (the most that a row may have).

    Args:
        data: whose parts are `Sentences`.
        place: folder of the model's tokenizer, or its file; a tokenizer that the data name goes before.
        types: whether the model tells first and second sentence apart.
    Raises:
        ValueError: if there is no tokenizer, or it cannot be read.
    """
    parts = {name: part for name, part in data.parts.items() if isinstance(part, Sentences)}
    first = next(iter(parts.values()))
    place = first.tokenizer or place
    if place is None:
        raise ValueError(
            f"{data.name} is text, and this model brings no tokenizer: name one, as {data.name}:tokenizer=vocab.txt"
        )
    tokenizer = tokenizer_at(place)
    tokenizer.enable_truncation(first.length)
    rows = {name: _rows(part, tokenizer, types) for name, part in parts.items()}
    facts = {**data.facts, "vocabulary": tokenizer.get_vocab_size(), "length": first.length}
    return replace(data, parts=rows, facts=facts)


def tokenizer_at(place: Path) -> "Tokenizer":
    """Return the tokenizer in a folder (tokenizer.json, else vocab.txt of BERT) or a file of these.

    Raises:
        ValueError: if there is none, or it cannot be read.
    """
    try:
        from tokenizers import BertWordPieceTokenizer, Tokenizer
    except ImportError as error:
        raise ValueError('tokens of sentences need the package tokenizers: pip install "lth[hf]"') from error
    names = ("tokenizer.json", VOCABULARY)
    file = next((place / name for name in names if (place / name).is_file()), place) if place.is_dir() else place
    if not file.is_file():
        raise ValueError(f"{place} has no tokenizer: a folder with {' or '.join(names)}, or one of these files")
    try:
        if file.suffix == ".json":
            tokenizer = Tokenizer.from_file(str(file))
        else:
            tokenizer = BertWordPieceTokenizer(str(file), lowercase=True)._tokenizer
    except Exception as error:  # whatever tokenizers raises
        raise ValueError(f"{file} cannot be read as a tokenizer: {' '.join(str(error).split())[:200]}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def locate_vocabulary(folder: Path | None = None) -> Path | None:
    """Return where the vocabulary of bert-base-uncased lies among the data: networks that are drawn read by it."""
    tried = [place / VOCABULARY for root in roots(folder) for place in (root / "bert-base-uncased", root)]
    return next((file for file in tried if file.is_file()), None)


def _rows(part: Sentences, tokenizer: Any, types: bool) -> Rows:
    texts: Any = part.first if part.second is None else list(zip(part.first, part.second, strict=True))
    encoded = tokenizer.encode_batch(list(texts))
    starts = torch.zeros(len(encoded) + 1, dtype=torch.int64)
    starts[1:] = torch.tensor([len(each.ids) for each in encoded], dtype=torch.int64).cumsum(0)
    tokens = torch.tensor([token for each in encoded for token in each.ids], dtype=torch.int32)
    kinds = torch.tensor([kind for each in encoded for kind in each.type_ids], dtype=torch.uint8) if types else None
    pad = next((i for name in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(name)) is not None), 0)
    return Rows(tokens, starts, part.y, kinds, pad, part.buckets)
