"""A published experiment: what was done, what was reported, and how near we come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lth.analysis.documents import Details, Interval, Results
from lth.analysis.points import Plot
from lth.analysis.reproduction import ComparedNumber, Mean
from lth.config import StudySettings

Band = tuple[float | None, float | None]
"""Lowest and highest value that count as the same finding; None leaves an end open."""


@dataclass(frozen=True, slots=True)
class Published:
    """One number of a paper, and its counterpart in ours.

    Attributes:
        words: what it is.
        measure: (results, details) -> our value and its interval; None where it was not measured.
        value: what the paper reports; None where it says which way, not how much.
        band: lowest and highest value that we count as the same finding; None leaves an end open.
        source: where in the paper.
        min_scale: the scale from which on ours can be compared.
        digits: decimals to show.
    """

    words: str
    measure: Callable[[Results, Details], Interval | None]
    value: float | None
    band: Band
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
        bands: how the bands were chosen.
        chosen: what the paper leaves open, or is not known of it, and how it was settled here.
        figures: what stands for the paper's figure: names of the study's plots, or plots of the experiment's own.
        figure_words: which figure of the paper that is.
        beside: experiments whose rows it compares with; they are run before it, and their arms are called
            `NAME: ARM`.
        steps: of all its trainings at full scale, replicates included; 0 where they are not counted.
        took: how long that took where it was run, in few words.
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
    bands: str = ""
    chosen: str = ""
    figures: tuple[str | Plot, ...] = ()
    figure_words: str = ""
    beside: tuple[str, ...] = ()
    steps: int = 0
    took: str = ""


def not_run(experiment: Experiment, reason: str) -> list[ComparedNumber]:
    """Return each published number without one of ours, and why."""
    return [_compared(row, None, reason) for row in experiment.rows]


def comparison(
    experiment: Experiment,
    results: Results,
    details: Details,
    scale: float,
    other: str = "",
    beside: Mapping[str, Results] | None = None,
) -> list[ComparedNumber]:
    """Return each published number beside ours, with a verdict.

    A verdict is `inside` or `outside` (our mean against the band), `not comparable at this scale`, or `not measured`.

    Args:
        experiment: what was published.
        results: of our run.
        details: of our run.
        scale: at which it ran.
        other: what stands in place of a verdict where another model or other data make numbers of two things.
        beside: results of the experiments that it compares with, by name.
    """
    rows: list[ComparedNumber] = []
    results = _joined(results, beside or {})
    for row in experiment.rows:
        ours = row.measure(results, details)
        if ours is None or ours["mean"] is None:
            verdict = "not measured"
        elif other:
            verdict = other
        elif scale < row.min_scale:
            verdict = "not comparable at this scale"
        else:
            verdict = "inside" if is_inside(row.band, ours["mean"]) else "outside"
        rows.append(_compared(row, ours, verdict))
    return rows


def is_inside(band: Band, value: float) -> bool:
    """Return whether a value lies in a band, ends included."""
    low, high = band
    return (low is None or low <= value) and (high is None or value <= high)


def _joined(results: Results, beside: Mapping[str, Results]) -> Results:
    """Return results with the rows of others, whose arms have a name of their own."""
    rows = [*results["rows"]]
    for name, others in beside.items():
        rows += [{**row, "arm": f"{name}: {row['arm']}"} for row in others["rows"]]
    return {**results, "rows": rows}


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
