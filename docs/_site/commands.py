"""The page of the command line: what `--help` knows, as Markdown."""

import re

from lth.cli.main import app

EXAMPLES = re.compile(r"^For example:\n((?: {2}\S.*\n)+)", re.MULTILINE)
CONTENTS = re.compile(r"^#+ Table of Contents\n\n(?: *- .*\n)+\n", re.MULTILINE)
PLANS = re.compile(r"^\* \[`[\w-]+`\]\(#lth-plan-.*\n", re.MULTILINE)


def commands() -> str:
    """Return every command with its options; `lth plan STUDY` has those of its study and is named once."""
    sections = re.split(r"^(?=#+ lth)", app.generate_docs(), flags=re.MULTILINE)
    text = "".join(section for section in sections if not section.startswith("### lth plan "))
    text = PLANS.sub("", CONTENTS.sub("", text)).replace("(#lth-install-completion)", "(#lth---install-completion)")
    return EXAMPLES.sub(_as_code, text).replace("# lth\n", "# The command line\n", 1)


def _as_code(example: re.Match[str]) -> str:
    lines = [line.removeprefix("  ") for line in example[1].splitlines()]
    return "\n".join(["```", *lines, "```", ""])
