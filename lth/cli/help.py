"""Help texts: one line on what a command does, then examples, then the rest; a terminal breaks the lines."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import Group

STUDY = Group("Studies", sort_key=-1)
STORED = Group("What is done and to do", sort_key=2)
FILES = Group("Tickets and weights", sort_key=3)
HELP = Group("Help", sort_key=4)


def with_examples(first: str, examples: Sequence[str], *more: str) -> str:
    """Return a help text: the line that lists show, command lines, and further paragraphs."""
    lines = "\n".join(f"  {example}" for example in examples)
    return "\n\n".join([first, f"For example:\n{lines}", *more]) if examples else "\n\n".join([first, *more])


def description(function: Callable[..., Any]) -> str:
    """Return what a docstring says before its arguments: paragraphs as one line each, indented blocks as examples."""
    text = (inspect.getdoc(function) or "").partition("\n\nArgs:")[0]
    first, *more = (each.strip("\n") for each in text.split("\n\n"))
    examples = [line.strip() for each in more if each.startswith("  ") for line in each.splitlines()]
    return with_examples(_joined(first), examples, *(_joined(each) for each in more if not each.startswith("  ")))


def _joined(paragraph: str) -> str:
    return " ".join(paragraph.split())
