"""`tokens.json`: what a folder of tokens holds."""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lth.config.choices import check_choice
from lth.config.json_text import parse_json
from lth.data.tokens.bpe import Gpt2Tokenizer
from lth.data.tokens.characters import Characters
from lth.data.tokens.tokenizer import Tokenizer

FILE = "tokens.json"
FORMAT: Final = "lth.tokens/1"
TOKENS = {"char": "a token per character", "gpt2": "GPT-2's byte pairs"}
"""Tokenizers by name, in words."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TokenizerDocument(_Strict):
    """A tokenizer.

    Attributes:
        name: entry of TOKENS.
        digest: its SHA-256, in hex.
        vocabulary: number of different tokens.
        end_of_text: the token that follows each document; None where texts are no documents, or have no such token.
        characters: of `char`, all characters, in the order of their ids.
    """

    name: str
    digest: str
    vocabulary: int
    end_of_text: int | None = None
    characters: str | None = None


class PartDocument(_Strict):
    """One file of tokens.

    Attributes:
        tokens: their number; a token is a uint16, little-endian.
        documents: number of documents; 0 where the text is one stream.
        bytes: of the text behind the tokens, in UTF-8.
        sha256: of the file, in hex.
    """

    tokens: int
    documents: int
    bytes: int
    sha256: str


class TokensDocument(_Strict):
    """What a folder of tokens holds.

    Attributes:
        parts: by the name of the file without its `.bin`: train, val, and test where there is one.
        source: what the tokens were made from.
        split: how the parts were cut, in words.
    """

    format: Literal["lth.tokens/1"]
    tokenizer: TokenizerDocument
    parts: dict[str, PartDocument]
    source: dict[str, Any]
    split: str

    @property
    def tokens(self) -> Tokenizer:
        """The tokenizer.

        Raises:
            ValueError: if it is unknown, or not the one whose digest is noted.
        """
        return tokenizer_from(self.tokenizer)


def document_of(tokenizer: Tokenizer) -> TokenizerDocument:
    """Return what `tokens.json` says of a tokenizer."""
    return TokenizerDocument(
        name=tokenizer.name,
        digest=tokenizer.digest,
        vocabulary=tokenizer.vocabulary,
        end_of_text=tokenizer.end_of_text,
        characters=tokenizer.characters if isinstance(tokenizer, Characters) else None,
    )


def tokenizer_from(document: TokenizerDocument) -> Tokenizer:
    """Return the tokenizer that `tokens.json` speaks of.

    Raises:
        ValueError: if it is unknown, or not the one whose digest is noted.
    """
    check_choice("tokens", document.name, TOKENS)
    tokenizer: Tokenizer = Gpt2Tokenizer()
    if document.name == "char":
        tokenizer = Characters(document.characters or "", document.end_of_text is not None)
    if tokenizer.digest != document.digest:
        raise ValueError(f"the tokenizer {document.name!r} has another digest than {FILE} says: prepare the data again")
    return tokenizer


def read_document(folder: Path) -> TokensDocument | None:
    """Return what `tokens.json` in a folder says; None where there is no such file.

    Raises:
        ValueError: if it is damaged, or of another format.
    """
    path = folder / FILE
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): prepare the data again") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has the format {found!r}; {FORMAT!r} is read here: prepare the data again")
    try:
        document = TokensDocument.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path} is damaged ({place}: {first['msg']}): prepare the data again") from error
    try:
        tokenizer_from(document.tokenizer)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return document
