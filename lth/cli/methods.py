"""`lth methods`: every criterion, scope, granularity, schedule and action, with one line on each."""

import inspect
import json
import textwrap
from typing import Any

from lth.cli.options import Json

WIDTH = 118


def methods(*, json_: Json = False) -> int:
    """List every way to choose a mask and to go on with it: names for the options of find-ticket, one line each.

    Args:
        json_: print JSON.
    """
    tables = _tables()
    if json_:
        print(json.dumps(tables, indent=1))
        return 0
    for option, rows in tables.items():
        print(f"--{option}")
        column = max(len(name) for name in rows)
        for name, line in rows.items():
            indent = " " * (column + 4)
            text = textwrap.fill(line, WIDTH, initial_indent=f"  {name:{column}}  ", subsequent_indent=indent)
            print(text)
        print()
    print("They combine freely. Sources stand in the docstrings of lth.sparsity; docs/choose.md helps to choose.")
    return 0


def _tables() -> dict[str, dict[str, str]]:
    from lth.config.find_ticket import KEPT_WORDS
    from lth.sparsity import CRITERIA, GRANULARITIES, PRUNED_ACTIONS, SCHEDULES, SCOPES
    from lth.training import SPARSIFIERS

    return {
        "criterion": {name: _line(criterion) for name, criterion in CRITERIA.items()},
        "scope": {name: _line(scope) for name, scope in SCOPES.items()},
        "granularity": {
            name: _line(grain.families) if grain.families else "Single weights."
            for name, grain in GRANULARITIES.items()
        }
        | {
            "block:RxC": "Blocks of R outputs by C inputs, as block:4x4.",
            "N:M": "N of every M consecutive weights along the input axis stay, as 2:4, in one level.",
        },
        "schedule": {name: schedule.words for name, schedule in SCHEDULES.items()},
        "kept": KEPT_WORDS,
        "pruned": {
            name: _line(action.values) + (" Trains on." if action.trains else "")
            for name, action in PRUNED_ACTIONS.items()
        },
        "sparsifier": {name: _line(method.change) for name, method in SPARSIFIERS.items()},
    }


def _line(value: Any) -> str:
    """The first sentence block of a docstring, as one line."""
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
