"""Sentences for a terminal."""

import shutil
import textwrap
from typing import TextIO


def for_terminal(sentence: str, stream: TextIO) -> str:
    """Return a sentence broken between words, where the terminal that it is for would break anywhere."""
    if not stream.isatty():
        return sentence
    width = shutil.get_terminal_size().columns
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)
