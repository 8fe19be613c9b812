"""LeNet-300-100 on MNIST: Frankle & Carbin 2019, arXiv:1803.03635, Section 2."""

from collections.abc import Callable

from lth.analysis.documents import Details, Interval, Results
from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.find_ticket_settings import FindTicket, frankle_carbin_lenet


def _settings(scale: float) -> FindTicket:
    """Return the paper's settings with trainings of a share of their length."""
    steps = max(100, round(50_000 * scale))
    return frankle_carbin_lenet().with_(duration=f"{steps}it", evaluate_every=max(10, round(100 * scale)))


def _values(results: Results, arm: str, density: float, measure: str) -> list[float | None] | None:
    """Return one value per replicate of an arm at the level nearest to a density; None if the arm is not there."""
    rows = [row for row in results["rows"] if row["arm"] == arm]
    if not rows:
        return None
    nearest = min(rows, key=lambda row: abs(float(row["at"]["density"]) - density))["at"]["density"]
    chosen = sorted((row for row in rows if row["at"]["density"] == nearest), key=lambda row: row["replicate"])
    if measure == "best_step":
        return [None if row["best_step"] is None else float(row["best_step"]) for row in chosen]
    return [row["end"].get(measure) for row in chosen]


def _difference(
    first: tuple[str, float], second: tuple[str, float], factor: float = 100.0
) -> Callable[[Results, Details], Interval | None]:
    """Return the measure of how many points of accuracy the first arm is above the second, paired."""

    def measure(results: Results, details: Details) -> Interval | None:
        from lth.analysis.statistics import interval

        pairs = [_values(results, *each, "test/accuracy") for each in (first, second)]
        if pairs[0] is None or pairs[1] is None:
            return None
        both = zip(*pairs, strict=True)
        points = [None if a is None or b is None else factor * (a - b) for a, b in both]
        return interval(points, results["confidence"])

    return measure


def _ratio(
    first: tuple[str, float], second: tuple[str, float], of: Callable[[float, float], float]
) -> Callable[[Results, Details], Interval | None]:
    """Return the measure of two arms' steps of early stopping, put together replicate by replicate."""

    def measure(results: Results, details: Details) -> Interval | None:
        from lth.analysis.statistics import interval

        pairs = [_values(results, *each, "best_step") for each in (first, second)]
        if pairs[0] is None or pairs[1] is None:
            return None
        both = zip(*pairs, strict=True)
        return interval([None if not a or not b else of(a, b) for a, b in both], results["confidence"])

    return measure


DENSE = ("dense", 1.0)

FRANKLE_CARBIN_LENET = Experiment(
    words="LeNet-300-100 on MNIST: winning tickets by iterative pruning, with re-initialised controls",
    source="Frankle & Carbin 2019, arXiv:1803.03635",
    study="find-ticket",
    settings=_settings,
    rows=(
        Published(
            "early stopping of tickets with 21.1 % of the weights, earlier than the dense network (%)",
            _ratio(("ticket", 0.211), DENSE, lambda ticket, dense: 100 * (1 - ticket / dense)),
            38.0,
            (15.0, 60.0),
            "Section 2, Figure 4a",
            digits=0,
        ),
        Published(
            "test accuracy of tickets with 13.5 % of the weights, above the dense network (points)",
            _difference(("ticket", 0.135), DENSE),
            0.3,
            (0.05, 0.55),
            "Section 2, Figure 4b",
        ),
        Published(
            "test accuracy of tickets with 3.6 % of the weights, above the dense network (points)",
            _difference(("ticket", 0.036), DENSE),
            0.0,
            (-0.3, 0.3),
            "Section 2, Figure 4b",
        ),
        Published(
            "early stopping of re-initialised networks at 21.1 %, in multiples of the ticket's",
            _ratio(("reinit", 0.211), ("ticket", 0.211), lambda reinit, ticket: reinit / ticket),
            2.51,
            (1.5, 3.5),
            "Section 2, random reinitialization",
        ),
        Published(
            "test accuracy of tickets at 21.1 %, above re-initialised networks (points)",
            _difference(("ticket", 0.211), ("reinit", 0.211)),
            0.5,
            (0.2, 0.8),
            "Section 2, random reinitialization",
        ),
    ),
)
