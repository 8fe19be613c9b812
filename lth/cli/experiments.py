"""The list of published experiments, for a terminal of 80 columns."""

import textwrap
from collections.abc import Iterator, Sequence

from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS
from lth.studies.experiments.checklist import CHECKLISTS
from lth.studies.experiments.table import GROUP_WORDS

WIDTH = 80


def experiment_lines() -> Iterator[str]:
    """Give the lines of a list: each experiment or table with its data and what it takes, and what it is."""
    grouped = {name for group in EXPERIMENT_GROUPS.values() for name in group}
    yield f"{'name':33}{'data':15}at full length"
    for name, experiment in EXPERIMENTS.items():
        if name not in grouped:
            yield from _entry(name, _data([name]), _length([name]), f"{experiment.words}. {experiment.source}")
    for name, group in EXPERIMENT_GROUPS.items():
        sources = "; ".join(dict.fromkeys(EXPERIMENTS[each].source for each in group))
        yield from _entry(name, _data(group), _length(group), f"{GROUP_WORDS.get(name, name)}. {sources}")
        yield from _wrapped(f"these: {', '.join(group)}", 4, 6)
    for name, checklist in CHECKLISTS.items():
        yield from _entry(name, "none", "nothing is trained", f"{checklist.words}. {checklist.source}")


def _length(names: Sequence[str]) -> str:
    """Return what some experiments take at full length: steps of all trainings, and how long that took."""
    steps, took = sum(EXPERIMENTS[name].steps for name in names), ", ".join(EXPERIMENTS[name].took for name in names)
    count = f"{len(names)} runs" if len(names) > 1 else ""
    million = f"{steps / 1e6:.3g}M steps" if steps else ""
    return ", ".join(words for words in (count, million, took.strip(", ")) if words) or "not counted"


def _data(names: Sequence[str]) -> str:
    """Return the data sets of some experiments at full scale; those that cannot be run have none."""
    settings = [EXPERIMENTS[name].settings(1.0) for name in names if not EXPERIMENTS[name].not_run]
    found = dict.fromkeys(data for each in settings for data in each.data_sets.values())
    return " ".join(found) if len(found) < 4 else f"{len(found)} sets"


def _entry(name: str, data: str, cost: str, words: str) -> Iterator[str]:
    yield from _wrapped(f"{name:32} {data:14} {cost}".rstrip(), 0, 4)
    yield from _wrapped(words, 4, 4)


def _wrapped(text: str, first: int, rest: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
