"""What the logs of the tickets in GPT-2 say, as rows beside ours; numbers that name no run are ranges over the runs."""

from lth.analysis.documents import Details, Interval, Results, TableRow
from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.lwh import SEARCHES, SMALL_DATA, SMALL_MODEL, WATCHED, Search
from lth.studies.experiments.measures import interval_of, nearest

LOGS = "the study's logs"
MATRIX = "h.2.mlp.c_proj.weight"
LOOKED_AT = 0.59
"""Density at which the logs give the survival of the watched weight's matrix."""


def perplexities(results: Results, replicate: int) -> list[tuple[float, float]]:
    """Return density and perplexity of one replicate, dense network and tickets, as dense as 0.32 and above."""
    rows = [row for row in results["rows"] if row["arm"] in ("dense", "ticket") and row["replicate"] == replicate]
    values = [(float(row["at"]["density"]), row["end"].get("test/perplexity")) for row in rows]
    return sorted((density, value) for density, value in values if value is not None and density > 0.32)


def _replicates(results: Results) -> list[int]:
    return sorted({row["replicate"] for row in results["rows"]})


def perplexity(results: Results, details: Details) -> Interval | None:
    """Return the mean perplexity over the levels of each replicate."""
    by_replicate = [perplexities(results, replicate) for replicate in _replicates(results)]
    return interval_of([sum(v for _, v in pairs) / len(pairs) for pairs in by_replicate if pairs], results)


def trend(results: Results, details: Details) -> Interval | None:
    """Return the perplexity of the sparsest level above that of the dense network, in percent."""
    by_replicate = [perplexities(results, replicate) for replicate in _replicates(results)]
    return interval_of([100 * (p[0][1] / p[-1][1] - 1) for p in by_replicate if len(p) > 1], results)


def survival_of_matrix(results: Results, details: Details) -> Interval | None:
    """Return the share kept of the watched weight's matrix at the level nearest to the density of the logs."""
    rows = [row for row in details["layers"] if row["layer"] == MATRIX and "density" in row["at"]]
    if not rows:
        return None
    place = nearest([row["at"] for row in rows], {"density": LOOKED_AT})
    return interval_of([row["density"] for row in rows if row["at"] == place], results)


def _watched(details: Details) -> list[TableRow]:
    rows = details["tables"].get("watched", [])
    return [row for row in rows if row["weight"] in WATCHED and row["is_kept"] is not None]


def pruned_at(results: Results, details: Details) -> Interval | None:
    """Return the density at which the watched weight is pruned, over the replicates in which it is."""
    rows = _watched(details)
    first: dict[int, float] = {}
    for row in sorted(rows, key=lambda row: -row["new_density"]):
        if not row["is_kept"]:
            first.setdefault(row["replicate"], row["new_density"])
    return interval_of(list(first.values()), results)


def kept_throughout(results: Results, details: Details) -> Interval | None:
    """Return the share of replicates whose every mask keeps the watched weight."""
    rows = _watched(details)
    replicates = {row["replicate"] for row in rows}
    pruned = {row["replicate"] for row in rows if not row["is_kept"]}
    return interval_of([float(each not in pruned) for each in replicates], results)


WATCHED_ROWS = (
    Published(
        "density at which h.2.mlp.c_proj 447,666 is pruned (six runs: 0.81, 0.90, 0.90, 0.80, 0.512, 0.656)",
        pruned_at,
        0.805,
        (0.51, 0.90),
        f"{LOGS}, median and range over runs",
    ),
    Published(
        "share of runs that keep it to their end (three of nine: through 0.41, 0.729, 0.41)",
        kept_throughout,
        0.33,
        (0.0, 0.67),
        f"{LOGS}, over runs",
    ),
)


def _base_rate(value: float, band: tuple[float, float], when: str) -> Published:
    words = f"share kept of its matrix at density 0.59, {when}"
    return Published(words, survival_of_matrix, value, band, f"{LOGS}, range over runs")


def _perplexity(value: float, band: tuple[float, float], steps: str) -> Published:
    return Published(
        f"perplexity over levels, {steps} steps a round", perplexity, value, band, f"{LOGS}, range over runs", digits=1
    )


def _trend(percent: float) -> Published:
    words = "perplexity at density 0.33 above the dense network's (%): no trend"
    return Published(words, trend, 0.0, (-percent, percent), f"{LOGS}, spread over rounds", digits=1)


def _rows(search: Search) -> tuple[Published, ...]:
    """Return the numbers of the logs that speak of a search."""
    rows = WATCHED_ROWS
    if search.init == "xavier":
        return (*rows, _base_rate(0.77, (0.74, 0.80), "under Xavier"))
    if search.scope != "global" or search.decays:
        return rows
    if search.steps == 3_000:
        return (*rows, _base_rate(0.41, (0.40, 0.42), "after 3,000 steps"), _perplexity(41, (38, 44), "3,000"),
                _trend(15.0))  # fmt: skip
    if search.steps == 10_000:
        return (*rows, _base_rate(0.53, (0.50, 0.56), "after 10,000 steps"), _perplexity(29.5, (29, 30), "10,000"),
                _trend(3.5))  # fmt: skip
    return rows


def _experiment(search: Search) -> Experiment:
    return Experiment(
        words=f"Tickets in GPT-2 124M on OpenWebText: {search.words}",
        source="the LWH study of tickets in GPT-2, its logs",
        study="find-ticket",
        settings=search.settings,
        rows=_rows(search),
        small=f"{SMALL_MODEL} on {SMALL_DATA} in place of gpt2 on openwebtext, batches of 12, other watched weights",
    )


LWH: dict[str, Experiment] = {name: _experiment(search) for name, search in SEARCHES.items()}
