"""Names and tags that users give to studies: what they may look like."""

import re
from typing import Annotated

from pydantic import AfterValidator

from lth.config.text import SeveralNames

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[0-9a-f]+")


def check_name(name: str) -> str:
    """Return a name of a study, if it is one.

    Raises:
        ValueError: if it is none, or would be read as the beginning of an ID.
    """
    _check_word("name", name)
    if may_begin_id(name):
        raise ValueError(
            f"the name {name!r} reads as the beginning of an ID (0-9 and a-f alone): add '-' or another letter"
        )
    return name


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags, each once, if they are tags.

    Raises:
        ValueError: if one is none.
    """
    for tag in tags:
        _check_word("tag", tag)
    return tuple(dict.fromkeys(tags))


def may_begin_id(name: str) -> bool:
    """Return whether a text may be the beginning of an ID. No name is one, so that IDs stay what they are."""
    return _ID.fullmatch(name) is not None


def _check_word(kind: str, word: str) -> None:
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        allowed = "letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"
        raise ValueError(f"a {kind} has {allowed} (found {word!r})")


Name = Annotated[str, AfterValidator(check_name)]
"""What a study is called."""

Tags = Annotated[SeveralNames, AfterValidator(check_tags)]
"""Several tags: a list, or text with commas; `none` for none."""
