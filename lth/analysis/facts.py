"""What a verdict is written from, and its shortest forms: the title and the summary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lth.analysis.comparison import Comparison
from lth.analysis.documents import ArmDocument, Results
from lth.analysis.numbers import remaining, show
from lth.analysis.reading import Measure, arms_of, baseline_cell, metric_of, num_replicates
from lth.config.text import last_part, named_data

CONSTANT = "an answer that looks at no input"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict is written from."""

    results: Results
    compared: tuple[Comparison, ...]
    winning: Comparison | None
    match: Comparison | None
    confirmed_match: Comparison | None
    is_learned: bool
    margin: float
    axis: str
    finding: str

    @property
    def head(self) -> Comparison | None:
        """The place that the verdict is about."""
        return self.winning or self.confirmed_match or self.match

    @property
    def furthest(self) -> Comparison | None:
        """The last place at which the subject came to an end."""
        return next((each for each in reversed(self.compared) if each.value["mean"] is not None), None)

    @property
    def metric(self) -> Measure:
        return metric_of(self.results, "primary")

    @property
    def confidence(self) -> float:
        return self.results["confidence"]

    @property
    def replicates(self) -> int:
        return num_replicates(self.results)

    @property
    def subject(self) -> ArmDocument:
        return arms_of(self.results, "subject")[0]

    @property
    def baseline(self) -> ArmDocument:
        return arms_of(self.results, "baseline")[0]

    @property
    def measured(self) -> str:
        """The primary metric with its part: 'test accuracy'."""
        return f"{self.metric.part} {self.metric.name}"


def studied(config: Mapping[str, Any]) -> str:
    """Return what was studied: 'lenet-300-100 on mnist'."""
    return f"{last_part(_name(config.get('model')))} on {data_in_words(config)}"


def data_in_words(config: Mapping[str, Any]) -> str:
    """Return the name of a study's data; see `named_data`."""
    return named_data(_name(config.get("data")), str(config.get("data_note", "")))


def _name(value: Any) -> str:
    return str(value.get("name", "a network")) if isinstance(value, Mapping) else str(value)


def amount(at: Mapping[str, float | str]) -> str:
    """Return a place in few words: '5.6 %' of the prunable weights, or 'share 0.4'."""
    density = at.get("density")
    if isinstance(density, int | float):
        return f"{remaining(density)} %"
    return ", ".join(f"{axis} {_plain(value)}" for axis, value in at.items())


def beside_constant(results: Results) -> list[str]:
    """Return a sentence on what a constant answer reaches, and the baseline; none where that is not known."""
    constant = results["constant"].get(results["primary"])
    if constant is None:
        return []
    metric, base = metric_of(results, "primary"), baseline_cell(results, "primary")
    value = f"; {base['arm']} has {show(base['interval']['mean'], metric)}" if base else ""
    return [f"For scale: {CONSTANT} reaches {show(constant, metric)}{value}."]


def place_in_words(at: Mapping[str, float | str], axis: str) -> str:
    """Return a place in words: '5.6 % of the prunable weights (level 13)'."""
    if "density" not in at:
        return amount(at)
    level = f" ({axis} {_plain(at[axis])})" if axis in at and axis != "density" else ""
    return f"{amount(at)} of the prunable weights{level}"


def _plain(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, int | float) else value


def title(facts: Facts) -> str:
    """Return what was found, in one line."""
    what, head = studied(facts.results["config"]), facts.head
    none = f"No {facts.finding} of {what}"
    if not facts.is_learned:
        return f"{none}: the {facts.baseline['name']} network does no better than {CONSTANT}"
    if head is None:
        return none
    plural = f"{facts.finding[0].upper()}{facts.finding[1:]}s of {what}"
    share = place_in_words(head.at, "")
    if facts.winning:
        return f"{plural}: {share} suffice" if share else plural
    return f"No confirmed {facts.finding} of {what}: {share + ' match, ' if share else ''}{reservation(facts)}"


def summary(facts: Facts) -> str:
    """Return the verdict in a few words: '5.6 % (confirmed)'."""
    if not facts.is_learned:
        return f"none ({facts.baseline['name']} no better than a constant answer)"
    if facts.head is None:
        return "none"
    return f"{amount(facts.head.at) or 'match'} ({'confirmed' if facts.winning else reservation(facts)})"


def reservation(facts: Facts) -> str:
    """Return why a match is no confirmed finding."""
    head = facts.head
    assert head is not None, "only a match has a reservation"
    if head.confirmed is None:
        return "one replicate"
    if not head.confirmed:
        return "not settled"
    return "controls not clearly worse" if head.controls else "no controls"
