"""A published experiment: what was done, what was reported, and how near we come."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from lth.analysis.documents import Details, Interval, Results
from lth.config import StudySettings


@dataclass(frozen=True, slots=True)
class Published:
    """One number of a paper, and its counterpart in ours.

    Attributes:
        words: what it is.
        measure: (results, details) -> our value and its interval; None where it was not measured.
        value: what the paper reports.
        band: lowest and highest value that we count as the same finding.
        source: where in the paper.
        min_scale: the scale from which on ours can be compared.
        digits: decimals to show.
    """

    words: str
    measure: Callable[[Results, Details], Interval | None]
    value: float
    band: tuple[float, float]
    source: str
    min_scale: float = 1.0
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Experiment:
    """A published experiment.

    Attributes:
        words: one line.
        source: the paper.
        study: an entry of STUDIES.
        settings: scale in (0, 1] -> settings; 1 is the paper's own size.
        rows: what the paper reports.
        small: what stands in place of what below full scale; empty where only trainings are shorter.
        model: the pre-trained model of the paper, in whose place another may be named; empty where none may.
        may_lack_data: whether data that are not at hand leave it out of a table, in place of ending all.
        not_run: why it is listed alone; empty where it can be run.
        data_rows: examples of training and of the test part that the paper had; (0, 0) where that is not checked.
    """

    words: str
    source: str
    study: str
    settings: Callable[[float], StudySettings]
    rows: tuple[Published, ...]
    small: str = ""
    model: str = ""
    may_lack_data: bool = False
    not_run: str = ""
    data_rows: tuple[int, int] = (0, 0)


class Mean(TypedDict):
    """A mean over replicates, and its interval."""

    mean: float | None
    low: float | None
    high: float | None


class ComparedNumber(TypedDict):
    """A published number beside ours."""

    words: str
    published: float
    band: list[float]
    ours: Mean | None
    verdict: str
    source: str
    digits: int


def not_run(experiment: Experiment, reason: str) -> list[ComparedNumber]:
    """Return each published number without one of ours, and why."""
    return [_compared(row, None, reason) for row in experiment.rows]


def comparison(
    experiment: Experiment, results: Results, details: Details, scale: float, other: str = ""
) -> list[ComparedNumber]:
    """Return each published number beside ours, with a verdict.

    A verdict is `inside` or `outside` (our mean against the band), `not comparable at this scale`, or `not measured`.

    Args:
        experiment: what was published.
        results: of our run.
        details: of our run.
        scale: at which it ran.
        other: what stands in place of a verdict where another model or other data make numbers of two things.
    """
    rows: list[ComparedNumber] = []
    for row in experiment.rows:
        ours = row.measure(results, details)
        if ours is None or ours["mean"] is None:
            verdict = "not measured"
        elif other:
            verdict = other
        elif scale < row.min_scale:
            verdict = "not comparable at this scale"
        else:
            verdict = "inside" if row.band[0] <= ours["mean"] <= row.band[1] else "outside"
        rows.append(_compared(row, ours, verdict))
    return rows


def _compared(row: Published, ours: Interval | None, verdict: str) -> ComparedNumber:
    return {
        "words": row.words,
        "published": row.value,
        "band": list(row.band),
        "ours": None if ours is None else Mean(mean=ours["mean"], low=ours["low"], high=ours["high"]),
        "verdict": verdict,
        "source": row.source,
        "digits": row.digits,
    }
