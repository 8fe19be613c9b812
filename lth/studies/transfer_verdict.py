"""Whether tickets of a source serve a target: beside the target's own, beside random masks, and what share is kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lth.analysis.comparison import beats_constant
from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.facts import CONSTANT, beside_constant, data_in_words, place_in_words, studied
from lth.analysis.numbers import percent, remaining, show, show_margin, show_paired
from lth.analysis.pairs import rows_by_replicate
from lth.analysis.points import Conclusion
from lth.analysis.ratio import ratio_of_means
from lth.analysis.reading import Measure, Place, baseline_cell, cells, metric_of
from lth.analysis.significance import p_of_mean, rejected
from lth.analysis.statistics import paired_difference
from lth.config.text import named_data
from lth.studies.transfer_settings import OWN_SETTINGS

SOURCE, OWN, RANDOM = "source ticket", "target ticket", "random"


@dataclass(frozen=True, slots=True, eq=False)
class LevelFound:
    """The source's ticket at one level.

    Attributes:
        at: the place.
        values: of each arm.
        against: the source's ticket minus each other arm, paired.
        as_good: whether it is as good as the target's own within the margin, by its mean and with its whole interval.
        better: whether it is better than the random mask, the same two.
        p_values: that it is not as good, and that it is no better.
        kept: share of the own ticket's gain over the random mask that it keeps; None where that has no interval.
    """

    at: Place
    values: Mapping[str, Interval]
    against: Mapping[str, Interval]
    as_good: tuple[bool, bool]
    better: tuple[bool, bool]
    p_values: tuple[float, float]
    kept: Interval | None

    def is_found(self, *, settled: bool) -> bool:
        """Return whether it serves: as good as the target's own and better than random."""
        return self.as_good[settled] and self.better[settled]


def compare_sources(results: Results) -> Conclusion:
    """Return what tickets of the source are worth on the target.

    They serve it at a level where they are as good as the target's own within the margin and better than random masks
    of their layer-wise densities: with the whole intervals it is confirmed, if Holm's test over both questions at all
    levels holds too. Nothing is found where no dense network clearly beats a constant answer, at levels where a
    replicate is missing, and where source and target are one training.
    """
    metric, config = metric_of(results, "primary"), results["config"]
    found = list(_levels(results, config["margin"]))
    base = baseline_cell(results, "primary")
    is_learned = base is not None and beats_constant(base["interval"], results)
    serving = [each for each in found if is_learned and _own_words(config) and each.is_found(settled=False)]
    settled = [each for each in serving if each.is_found(settled=True)]
    tests = rejected([p for each in found for p in each.p_values], 1 - results["confidence"])
    held = [each for index, each in enumerate(found) if each in settled and all(tests[2 * index : 2 * index + 2])]
    head = next(iter((held or settled or serving)[::-1]), None)
    state = "confirmed" if held else "settled at single levels, not in all tests together" if settled else "not settled"
    what = f"{studied(config)}, tickets {_source_words(config)}"
    sentences = [_first(results, head, state, is_learned)]
    for each in dict.fromkeys([head, found[-1] if found else None]):
        sentences += [] if each is None else _level_sentences(results, each)
    if len(found) > 1 and settled:
        shares = ", ".join(f"{remaining(float(each.at['density']))} %" for each in held)
        sentences.append(
            f"Tested together at all {len(found)} levels (Holm, {2 * len(found)} tests) it holds "
            f"{f'with {shares} of the weights' if held else 'at none'}."
        )
    sentences += beside_constant(results)
    return Conclusion(
        {
            "found": head is not None,
            "confirmed": bool(held) if head is not None else None,
            "summary": "none" if head is None else f"{remaining(float(head.at['density']))} % ({state})",
            "title": f"{what}: {_title(head, state)}",
            "sentences": sentences,
            "tiles": [],
            "at": {} if head is None else head.at,
            "margin": config["margin"],
        },
        {"comparisons": list(_table(found, results)), "differences": list(_differences(found, metric))},
    )


def _levels(results: Results, margin: float) -> Iterator[LevelFound]:
    metric, confidence = metric_of(results, "primary"), results["confidence"]
    places: dict[Any, tuple[Place, dict[str, Interval]]] = {}
    for cell in cells(results, "primary"):
        places.setdefault(cell["at"]["level"], (cell["at"], {}))[1][cell["arm"]] = cell["interval"]
    dense = places.pop(0)[1] if 0 in places else {}
    for _, (at, own) in sorted(places.items()):
        values = own | dense
        against = {
            name: paired_difference(values[SOURCE]["values"], value["values"], confidence)
            for name, value in values.items()
            if name != SOURCE
        }
        random = against.get(RANDOM)
        yield LevelFound(
            at,
            values,
            against,
            _at_least(against[OWN], -margin, metric),
            (False, False) if random is None else _at_least(random, 0.0, metric, strictly=True),
            (_p_above(against[OWN], -margin, metric), 1.0 if random is None else _p_above(random, 0.0, metric)),
            None if random is None else _kept(values, metric, confidence),
        )


def _at_least(difference: Interval, limit: float, metric: Measure, *, strictly: bool = False) -> tuple[bool, bool]:
    """Return whether a gain is a limit or more by its mean, and with its whole interval, if that has a width.

    Neither where a replicate is missing: those that did not diverge would speak for all.
    """
    worse = difference["low"] if metric.better == "higher" else difference["high"]
    mean = difference["mean"]
    if mean is None or None in difference["values"]:
        return False, False
    by_mean = metric.gain(mean) > limit if strictly else metric.gain(mean) >= limit - 1e-12
    has_width = difference["low"] != difference["high"]
    return by_mean, worse is not None and has_width and metric.gain(worse) >= limit - (0 if strictly else 1e-12)


def _p_above(difference: Interval, limit: float, metric: Measure) -> float:
    """Return the p-value of a mean gain being a limit, 1 where it is below: half of it would be one-sided."""
    gains = [None if value is None else metric.gain(value) - limit for value in difference["values"]]
    return p_of_mean(gains) if sum(value for value in gains if value is not None) > 0 else 1.0


def _kept(values: Mapping[str, Interval], metric: Measure, confidence: float) -> Interval | None:
    """Return the gain of the source's ticket over the random mask as a share of that of the target's own."""
    source, own = (
        [
            None if one is None or other is None else metric.gain(one - other)
            for one, other in zip(values[arm]["values"], values[RANDOM]["values"], strict=True)
        ]
        for arm in (SOURCE, OWN)
    )
    return ratio_of_means(source, own, confidence)


def _first(results: Results, head: LevelFound | None, state: str, is_learned: bool) -> str:
    config, metric = results["config"], metric_of(results, "primary")
    margin = show_margin(config["margin"], metric)
    what = f"Tickets {_source_words(config)}"
    if not _own_words(config):
        return (
            "Source and target are one training, so their tickets are one: give the source data, an optimizer or a "
            "learning rate of its own (--source-data, --source-optimizer, --source-lr)."
        )
    if not is_learned:
        return f"{what}: the dense network is not clearly better than {CONSTANT}, so no ticket can be judged."
    if RANDOM not in config["controls"]:
        return f"{what}: no random masks ran, so nothing here shows that the masks matter (--controls random)."
    if head is None:
        return (
            f"{what} are at no level both as good as the target's own (margin {margin}) and better than random masks "
            "of their layer-wise densities."
        )
    who = what if head.is_found(settled=True) else f"On average {what[0].lower()}{what[1:]}"
    place, beside = place_in_words(head.at, "level"), _beside_own(head, metric, margin)
    return (
        f"{who} serve {_target_words(config)} down to {place}: {beside} "
        f"and better than random masks of the same layer-wise densities ({state})."
    )


def _beside_own(head: LevelFound, metric: Measure, margin: str) -> str:
    """Say how the source's ticket does beside the target's own: better where the whole interval is."""
    _, is_better = _at_least(head.against[OWN], 0.0, metric, strictly=True)
    return "better than the target's own" if is_better else f"as good as the target's own (margin {margin})"


def _title(head: LevelFound | None, state: str) -> str:
    """Return what is said of the tickets, in few words."""
    if head is None:
        return "none is shown to serve"
    share = f"{remaining(float(head.at['density']))} % of the weights"
    if not head.is_found(settled=True):
        return f"whether they serve is not settled (on average down to {share})"
    return f"they serve down to {share}{'' if state == 'confirmed' else f' ({state})'}"


def _level_sentences(results: Results, each: LevelFound) -> Iterator[str]:
    metric, confidence = metric_of(results, "primary"), results["confidence"]
    value = each.values[SOURCE]["mean"]
    place = f"With {place_in_words(each.at, 'level')}"
    if value is None:
        yield f"{place}, every training of the source's ticket diverged. Try a lower --lr."
        return
    rivals = (
        f"{name} {show(each.values[name]['mean'], metric)} ({show_paired(difference, metric, confidence, ', {}')})"
        for name, difference in each.against.items()
        if difference["mean"] is not None
    )
    yield (
        f"{place}, {metric.part} {metric.name}: {SOURCE} {show(value, metric)}; {'; '.join(rivals)}. In brackets what "
        f"the {SOURCE} has over each."
    )
    if RANDOM not in each.values:
        return
    if each.kept is None:
        yield (
            f"{place}, no share of the gain is stated: that the target's own ticket is better than the random mask is "
            "not settled."
        )
        return
    low, mean, high = (100 * (each.kept[end] or 0.0) for end in ("low", "mean", "high"))
    yield (
        f"{place}, it keeps {mean:.0f} % ({percent(confidence)} interval {low:.0f} to {high:.0f} %, Fieller) of what "
        "the target's own ticket gains over that random mask."
    )


def _source_words(config: Mapping[str, Any]) -> str:
    """Return where tickets were found: 'found on mnist', 'found with sgd, lr 0.1'."""
    own = _own_words(config)
    data = own.pop("data", None)
    words = [f"on {named_data(data)}"] if data else []
    words += [f"with {_values(own)}"] if own else []
    return f"found {' '.join(words) or 'by the same training'}"


def _target_words(config: Mapping[str, Any]) -> str:
    """Return what they are tried on: 'fashion-mnist', 'digits with adam, lr 0.0012'."""
    own = {name: config[name.replace(" ", "_")] for name in _own_words(config) if name != "data"}
    data = data_in_words(config)
    return f"{data} with {_values(own)}" if own else data


def _values(own: Mapping[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for name, value in own.items():
        flat |= value if isinstance(value, Mapping) else {name: value}  # options of an optimizer, each by its name
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in flat.items()}
    return ", ".join(value if name == "optimizer" else f"{name} {value}" for name, value in shown.items())


def _own_words(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the source has of its own, and otherwise than the target, by the target's names in words."""
    found = {}
    for name in OWN_SETTINGS:
        value = config.get(f"source_{name}")
        if value is not None and value != config.get(name):
            found[name.replace("_", " ")] = value
    return found


def _table(found: list[LevelFound], results: Results) -> Iterator[TableRow]:
    for each in found:
        for name, difference in each.against.items():
            yield {"arm": SOURCE, "against": name, **each.at, **difference}
        kept = each.kept or Interval(mean=None, low=None, high=None, values=[])
        yield {"arm": SOURCE, "against": "share of the target ticket's gain over random", **each.at, **kept}


def _differences(found: list[LevelFound], metric: Measure) -> Iterator[TableRow]:
    """Give the differences of each replicate, fractions in points: what a figure puts its intervals over."""
    for each in found:
        for name, difference in each.against.items():
            yield from rows_by_replicate(difference, metric, against=name, **each.at)
