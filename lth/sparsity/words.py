"""What an entry of a table does, in words for people."""

import inspect


def first_paragraph(value: object) -> str:
    """Return the first paragraph of a docstring as one line; empty without a docstring."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def words_of(entry: object) -> str:
    """Return what an entry of CRITERIA, SCOPES, GRANULARITIES or SCHEDULES does, also one that is a bare function."""
    words = getattr(entry, "words", None)
    return words if isinstance(words, str) and words else first_paragraph(entry)
