"""Tokens for language models: tokenizers, and folders of train.bin and val.bin as nanoGPT has them."""

from lth.data.tokens.document import TOKENS, TokensDocument
from lth.data.tokens.folder import load_tokens, tokenizer_of
from lth.data.tokens.prepare import Progress, prepare_tokens
from lth.data.tokens.source import Cutting, Source
from lth.data.tokens.sources import SOURCES, source_of
from lth.data.tokens.tokenizer import Tokenizer

__all__ = [
    "SOURCES",
    "TOKENS",
    "Cutting",
    "Progress",
    "Source",
    "Tokenizer",
    "TokensDocument",
    "load_tokens",
    "prepare_tokens",
    "source_of",
    "tokenizer_of",
]
