"""What a study of sparsification during training says, and the tables behind its figures."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lth.analysis.comparison import Comparison, compare
from lth.analysis.documents import Interval, Results, TableRow, Tile, Verdict
from lth.analysis.facts import studied
from lth.analysis.numbers import show, show_paired
from lth.analysis.points import Conclusion, Point
from lth.analysis.reading import Measure, arms_of, metric_of, num_replicates
from lth.analysis.statistics import interval
from lth.sparsity import SCOPES
from lth.sparsity.select import planned_counts

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.sparsity import Masks
    from lth.training import History

PROGRESS = {
    "sparsity": ("sparsity/overall", 100.0),
    "revival": ("weight_revival/revival_rate", 100.0),
    "effective_rank": ("effective_rank/", 1.0),
    "zero_grad_norm": ("zero_grad_norm/", 1.0),
    "dead_neurons": ("dead_neurons/", 100.0),
}
"""Columns of the table `progress`: a curve, or all that begin so (their mean), and what it is multiplied by."""

OF_MASKS = ("sparsity", "revival", "dead_neurons")

ZEROS = {
    "never_revived": ("zero_lifetime/never_revived", 100.0),
    "median": ("zero_lifetime/median", 1.0),
    "q10": ("zero_lifetime/q10", 1.0),
    "q90": ("zero_lifetime/q90", 1.0),
    "ended": ("zero_lifetime/ended", 100.0),
    "flips_mean": ("mask_flips/mean", 1.0),
    "flips_max": ("mask_flips/max", 1.0),
    "flips_twice": ("mask_flips/twice", 100.0),
}
"""Columns of the table `zeros`."""


def verdict_and_tables(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Return the verdict: each method beside the dense network and its control, sparsity asked for beside reached."""
    finished = [point for point in points if _is_finished(point, reader)]
    pruned = [point for point in finished if point.arm != arms_of(results, "baseline")[0]["name"]]
    reached = [_reached(point, reader, results) for point in pruned]
    zeros = list(_zeros(results, pruned, reader))
    compared = {arm["name"]: _compared(results, arm["name"]) for arm in arms_of(results, "subject")}
    verdict = _verdict(results, compared, reached, zeros)
    shown = verdict["at"].get("target", _middle([point.at["target"] for point in pruned]))
    tables = {
        "progress": [row for point in finished for row in _progress(point, reader, is_subject=point.arm in compared)],
        "zeros": zeros,
        "reached": reached,
        "layers": [row for point in pruned if point.at["target"] == shown for row in _layers(point, reader)],
        "compared": [row for name, each in compared.items() for row in _differences(name, each)],
    }
    return Conclusion(verdict, tables)


def _is_finished(point: Point, reader: "Reader") -> bool:
    return reader.store.has(point.job) and _history(point, reader).diverged_at is None


def _history(point: Point, reader: "Reader") -> "History":
    from lth.training import read_history

    return read_history(json.loads(reader.store.read(point.job, "metrics.json")))


def _masks(point: Point, reader: "Reader") -> "Masks":
    """Return the masks that a training ended with."""
    from lth.lineage import Sparsified, Trained

    job = point.job
    assert isinstance(job, Trained)
    return reader.masks(job.masks if job.training.sparsifier is None else Sparsified(trained=job))


def _compared(results: Results, method: str) -> list[Comparison]:
    """Return one method at each target, beside the dense network and the control that ran with it."""
    from lth.studies.sparsify_settings import Sparsify, control_of

    config = results["config"]
    names = {name for name in Sparsify.model_fields if name in config}
    settings = Sparsify(scope=config["scope"], **{name: config[name] for name in names if name == "methods"})
    own = {method, control_of(settings, method), *(arm["name"] for arm in arms_of(results, "baseline"))}
    rows = [row for row in results["rows"] if row["arm"] in own]
    return compare({**results, "rows": rows}, margin=config["margin"])


def _reached(point: Point, reader: "Reader", results: Results) -> TableRow:
    """Return how many weights a training was to prune, and how many its masks do."""
    from lth.lineage import Trained
    from lth.training.sparsifiers import scope_of

    job = point.job
    assert isinstance(job, Trained)
    masks = _masks(point, reader)
    total = sum(mask.numel() for mask in masks.values())
    pruned = total - sum(int(mask.sum()) for mask in masks.values())
    row = {"arm": point.arm, "replicate": point.replicate, "target": point.at["target"], "weights": total}
    row |= {"pruned": pruned, "reached": pruned / total}
    sparsifier = job.training.sparsifier
    if sparsifier is None:
        return row
    shapes = {name: mask.shape for name, mask in masks.items()}
    counts = planned_counts(shapes, density=sparsifier.density, scope=SCOPES.pick(scope_of(sparsifier)))
    return row | {"planned": total - sum(keep for _, keep in counts)}


def _zeros(results: Results, points: Iterable[Point], reader: "Reader") -> Iterator[TableRow]:
    """Give how long zeros lasted in the trainings of methods, over all layers and by layer."""
    methods = {arm["name"] for arm in arms_of(results, "subject")}
    for point in points:
        end = _history(point, reader).end
        place = {"arm": point.arm, "replicate": point.replicate, "target": point.at["target"]}
        values = {column: factor * end[name] for column, (name, factor) in ZEROS.items() if name in end}
        if point.arm in methods and values:
            yield place | values


def _progress(point: Point, reader: "Reader", *, is_subject: bool) -> Iterator[TableRow]:
    """Give what was measured on the way, a row for each measurement; where masks stay, only what can change."""
    history = _history(point, reader)
    place = {"arm": point.arm, "replicate": point.replicate, "target": point.at["target"]}
    columns = {
        column: (_mean_curve(history.curves, name), factor)
        for column, (name, factor) in PROGRESS.items()
        if is_subject or column not in OF_MASKS
    }
    for index, step in enumerate(history.steps):
        row = {
            column: factor * value
            for column, (curve, factor) in columns.items()
            if (value := curve[index] if curve else None) is not None
        }
        if row:
            yield place | {"step": step} | row


def _mean_curve(curves: Mapping[str, list[float | None]], name: str) -> list[float | None]:
    """Return the curve of this name, or the mean of all curves that begin so; empty without one."""
    chosen = [
        values for curve, values in curves.items() if curve == name or (name[-1] == "/" and curve.startswith(name))
    ]
    together = ([value for value in values if value is not None] for values in zip(*chosen, strict=True))
    return [sum(known) / len(known) if known else None for known in together]


def _layers(point: Point, reader: "Reader") -> Iterator[TableRow]:
    for name, mask in _masks(point, reader).items():
        row = {"arm": point.arm, "replicate": point.replicate, "target": point.at["target"]}
        yield row | {"layer": name.removesuffix(".weight"), "sparsity": 100 * (1 - float(mask.float().mean()))}


def _differences(method: str, compared: Iterable[Comparison]) -> Iterator[TableRow]:
    """Give each method's differences from the dense network and the control, with their intervals."""
    for each in compared:
        place = {"arm": method, "target": each.at["target"]}
        yield place | {"from": "dense", **each.difference}
        for rival in each.rivals:
            yield place | {"from": rival.arm["name"], **rival.difference}


def _middle(targets: Iterable[float | str]) -> float:
    ordered = sorted({float(target) for target in targets})
    return ordered[len(ordered) // 2] if ordered else 0.0


def _verdict(
    results: Results,
    compared: dict[str, list[Comparison]],
    reached: list[TableRow],
    zeros: list[TableRow],
) -> Verdict:
    metric, what = metric_of(results, "primary"), studied(results["config"])
    every = [(float(each.at["target"]), name, each) for name, some in compared.items() for each in some]
    winning = max((each for each in every if each[2].wins), default=None, key=lambda each: each[0])
    matching = max((each for each in every if each[2].matches), default=None, key=lambda each: each[0])
    head = winning or matching
    sentences = [_headline(results, winning, matching)]
    sentences += [_sentence(results, metric, target, name, each, reached) for target, name, each in every]
    sentences += [_reached_words(reached, results)] if reached else []
    sentences += [line for name in compared if (line := _zeros_words(name, zeros, results["confidence"]))]
    amount = "" if head is None else f"{100 * head[0]:g} % by {head[1]}"
    state = "confirmed" if winning else "one replicate" if num_replicates(results) == 1 else "not settled"
    return {
        "found": head is not None,
        "confirmed": None if head is None or head[2].confirmed is None else winning is not None,
        "summary": "none" if head is None else f"{amount} ({state})",
        "title": f"Sparse while it trains, {what}: " + _title(head, amount, state),
        "sentences": sentences,
        "tiles": _tiles(results, metric, head, zeros),
        "at": {} if head is None else {"target": head[0]},
        "margin": results["config"]["margin"],
        "confidence": results["confidence"],
        "replicates": num_replicates(results),
    }


Place = tuple[float, str, Comparison]


def _title(head: "Place | None", amount: str, state: str) -> str:
    """Return what is said of the methods, in few words."""
    if head is None:
        return "no method keeps up with dense"
    if state == "confirmed":
        return f"{amount} keeps up with dense"
    return f"whether a method keeps up with dense is not settled ({amount} does on average)"


def _headline(results: Results, winning: Place | None, matching: Place | None) -> str:
    if winning is not None:
        return (
            f"{winning[1].capitalize()} prunes {100 * winning[0]:g} % of the weights while it trains and loses nothing "
            "with the whole interval, and its control is worse."
        )
    if matching is not None:
        return (
            f"{matching[1].capitalize()} keeps up with the dense network at {100 * matching[0]:g} % on average, but "
            "intervals, or the control, do not settle it."
        )
    return "No method keeps up with the dense network at any target."


def _sentence(
    results: Results, metric: Measure, target: float, name: str, each: Comparison, reached: list[TableRow]
) -> str:
    """Return one method at one target: its value beside dense and control."""
    place = f"{name.capitalize()} at {100 * target:g} %"
    if each.value["mean"] is None:
        return f"{place}: every replicate diverged. Try a lower --lr."
    against = [f"{show_paired(each.difference, metric, results['confidence'])} from dense"]
    against += [
        f"{show_paired(rival.difference, metric, results['confidence'])} from {rival.arm['name']}"
        for rival in each.rivals
        if rival.difference["mean"] is not None
    ]
    measured = f"{metric.part} {metric.name}".strip()
    return f"{place}: {measured} {show(each.value['mean'], metric)}; {'; '.join(against)}."


def _reached_words(reached: list[TableRow], results: Results) -> str:
    """Say what was asked for and what is there, in counts."""
    missed = [row for row in reached if row.get("planned", row["pruned"]) != row["pruned"]]
    targets: dict[float, set[float]] = defaultdict(set)
    for row in reached:
        targets[row["target"]].add(row["reached"])
    pairs = ", ".join(
        f"{100 * target:g} % -> {' to '.join(f'{100 * share:.4g} %' for share in sorted({min(found), max(found)}))}"
        for target, found in sorted(targets.items())
    )
    exact = "every training pruned exactly the count that was planned"
    if missed:
        exact = f"{len(missed)} of {len(reached)} trainings missed the count that was planned"
    return f"Target and reached sparsity: {pairs}; {exact} ({reached[0]['weights']:,} prunable weights)."


def _zeros_words(method: str, zeros: list[TableRow], confidence: float) -> str:
    """Say whether a zero stays a zero under a method; empty where it was not measured."""
    rows: dict[float, list[TableRow]] = defaultdict(list)
    for row in zeros:
        if row["arm"] == method and "never_revived" in row:
            rows[row["target"]].append(row)
    if not rows:
        return ""
    shares = [
        f"{_with_interval([row['never_revived'] for row in some], confidence)} at {100 * target:g} %"
        for target, some in sorted(rows.items())
    ]
    stayed = f"of the weights that were ever pruned these never came back: {', '.join(shares)}"
    if all(row["never_revived"] == 100 for some in rows.values() for row in some):
        stayed = "none of the weights that were ever pruned came back"
    target, some = max(rows.items(), key=lambda each: each[0])
    median, flips = (sum(row[column] for row in some) / len(some) for column in ("median", "flips_twice"))
    return (
        f"Does a zero stay zero? {method.capitalize()}: {stayed}. At {100 * target:g} % a zero lasts a median of "
        f"{median:.3g} measurements, and {flips:.3g} % of the entries flipped twice or more."
    )


def _with_interval(values: list[float], confidence: float) -> str:
    found: Interval = interval(values, confidence)
    between = "" if found["low"] in (None, found["high"]) else f" [{found['low']:.4g}, {found['high']:.4g}]"
    return f"{found['mean']:.4g} %{between}"


def _tiles(results: Results, metric: Measure, head: Place | None, zeros: list[TableRow]) -> list[Tile]:
    if head is None:
        return []
    target, name, each = head
    confidence = results["confidence"]
    tiles = [Tile(label="Sparsity", value=f"{100 * target:g} %", note=f"{name}; the furthest that keeps up")]
    pairs: list[tuple[str, Any]] = [("dense", each.difference)]
    pairs += [(rival.arm["name"], rival.difference) for rival in each.rivals]
    for rival, difference in pairs:
        if difference["mean"] is not None:
            value, _, rest = show_paired(difference, metric, confidence).partition(" (")
            tiles.append(Tile(label=f"Against {rival}", value=value, note=rest.rstrip(")") or "one replicate"))
    own = [row["never_revived"] for row in zeros if row["arm"] == name and row["target"] == target
           and "never_revived" in row]  # fmt: skip
    if own:
        note = "of the weights that were ever pruned"
        tiles.append(Tile(label="Never revived", value=f"{sum(own) / len(own):.4g} %", note=note))
    return tiles
