"""Measures that a study takes while its networks train."""

from collections.abc import Iterable, Iterator, Sequence

from lth.analysis.documents import TableRow
from lth.analysis.points import Point
from lth.analysis.statistics import interval
from lth.lineage import Reader
from lth.studies.subject import Subject
from lth.training import MEASURES, read_history

SPIKES = {
    "strength": "strongest spike: |input * weight| over the median channel's |output|",
    "over_channels": "largest |output| over the median channel's",
    "max_input": "largest |input|",
    "max_output": "largest |output|",
}
"""Curves of the measure `super_weights` that the page draws, with their words."""


def check_measures(names: Sequence[str], subject: Subject) -> None:
    """Raise a ValueError if a measure is unknown, or cannot measure the network."""
    for name in names:
        measure = MEASURES.pick(name)
        if measure.check is not None:
            try:
                measure.check(subject.module)
            except ValueError as error:
                raise ValueError(f"measures: {name!r} needs another network. {error}") from None


def spike_rows(reader: Reader, points: Iterable[Point], confidence: float) -> Iterator[TableRow]:
    """Give the curves of the measure `super_weights` of dense networks: means over replicates with intervals."""
    histories = [read_history(reader.document(point.job)) for point in points if reader.store.has(point.job)]
    for name, words in SPIKES.items():
        by_step: dict[int, list[float | None]] = {}
        for history in histories:
            for step, value in zip(history.steps, history.curves.get(f"super_weights/{name}", []), strict=False):
                if value is not None:
                    by_step.setdefault(step, []).append(value)
        for step, values in by_step.items():
            yield {"arm": "dense", "step": step, "curve": words, **interval(values, confidence)}
