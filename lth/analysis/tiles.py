"""The few numbers that stand beside a verdict."""

from lth.analysis.comparison import Early, Rival
from lth.analysis.documents import Interval, Tile
from lth.analysis.facts import CONSTANT, Facts, amount
from lth.analysis.numbers import show, show_mean, show_range
from lth.analysis.reading import BEST_STEP, baseline_cell, metric_of
from lth.analysis.sentences import earlier, is_late


def tiles(facts: Facts) -> list[Tile]:
    """Return a tile per number: the finding, what it has over its baseline and its controls, early stopping."""
    head, shown = facts.head, []
    if head is not None:
        settled = "confirmed" if facts.winning else "match confirmed" if head.confirmed else "not settled"
        label = facts.finding.capitalize() if facts.winning else "Match"
        place = f", {facts.axis} {head.at[facts.axis]:g}" if isinstance(head.at.get(facts.axis), int | float) else ""
        of = "of the prunable weights" if "density" in head.at else "the place of the match"
        if head.at:
            shown.append(Tile(label=label, value=amount(head.at), note=f"{of}{place}; {settled}"))
        shown.append(_difference(facts, f"Against {facts.baseline['name']}", head.difference))
        shown += [_rival(facts, rival) for rival in head.rivals if rival.value["mean"] is not None]
        if head.early is not None:
            shown.append(_early(facts, head.early))
    constant, base = facts.results["constant"].get(facts.results["primary"]), baseline_cell(facts.results, "primary")
    if constant is not None and base is not None and base["interval"]["mean"] is not None:
        note = f"{CONSTANT}; {facts.baseline['name']} {show(base['interval']['mean'], facts.metric)}"
        shown.append(Tile(label="Constant answer", value=show(constant, facts.metric), note=note))
    return shown


def _difference(facts: Facts, label: str, difference: Interval) -> Tile:
    between = show_range(difference, facts.metric, facts.confidence) or "one replicate: no interval"
    value = show_mean(difference, facts.metric)
    return Tile(label=label, value=value, note=f"{facts.measured}, {between}")


def _rival(facts: Facts, rival: Rival) -> Tile:
    label = f"Against {rival.arm['name']}"
    if rival.is_vacuous:
        note = f"it starts from the weights of the {facts.subject['name']}"
        return Tile(label=label, value="controls nothing", note=note)
    return _difference(facts, label, rival.difference)


def _early(facts: Facts, early: Early) -> Tile:
    steps = metric_of(facts.results, BEST_STEP)
    ends = f"step {show(early.subject['mean'], steps)}, {facts.baseline['name']} {show(early.baseline['mean'], steps)}"
    between = show_range(early.difference, steps, facts.confidence)
    late = (
        f"; at the last step in {'all' if is_late(facts, early) else 'some'} replicates" if any(early.censored) else ""
    )
    return Tile(
        label="Early stopping", value=earlier(early)[0], note=f"{ends}{'; ' + between if between else ''}{late}"
    )
