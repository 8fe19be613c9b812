"""`lth methods`: every entry of the tables that options name, with one line on each."""

import json
import textwrap

from lth.cli.options import Flag

WIDTH = 118


def methods(*, json_: Flag = False) -> int:
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
            print(textwrap.fill(line, WIDTH, initial_indent=f"  {name:{column}}  ", subsequent_indent=indent))
        print()
    print("They combine freely. Sources stand in the docstrings; docs/choose.md helps to choose.")
    return 0


def _tables() -> dict[str, dict[str, str]]:
    from lth.data import AUGMENTATIONS
    from lth.sparsity import CRITERIA, GRANULARITIES, SCHEDULES, SCOPES, words_of
    from lth.studies.find_ticket_settings import ARMS
    from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS
    from lth.tasks import TASKS
    from lth.training import ENGINES, SPARSIFIERS

    patterns = {
        "block:RxC": "Blocks of R outputs by C inputs, as block:4x4.",
        "N:M": "N of every M consecutive weights along the input axis stay, as 2:4, in one level.",
    }
    return {
        "criterion": {name: words_of(entry) for name, entry in CRITERIA.items()},
        "scope": {name: words_of(entry) for name, entry in SCOPES.items()},
        "granularity": {name: words_of(entry) for name, entry in GRANULARITIES.items()} | patterns,
        "schedule": {name: words_of(entry) for name, entry in SCHEDULES.items()},
        "kept": {name: action.words for name, action in KEPT_ACTIONS.items()},
        "pruned": {name: action.words for name, action in PRUNED_ACTIONS.items()},
        "controls": {arm.name: f"{arm.words[0].upper()}{arm.words[1:]}." for arm in ARMS if arm.role == "control"},
        "sparsifier": {name: method.words for name, method in SPARSIFIERS.items()},
        "engine": {name: engine.words for name, engine in ENGINES.items()},
        "augment": {name: entry.words for name, entry in AUGMENTATIONS.items()},
        "task": {name: words_of(task) for name, task in TASKS.items()},
    }
