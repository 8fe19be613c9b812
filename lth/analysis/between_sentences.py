"""How studies differ, in words: which one is better by how much, or that it is not settled."""

from collections.abc import Sequence

from lth.analysis.between import Against, Gap
from lth.analysis.documents import Results
from lth.analysis.numbers import is_alike, number, show_mean, show_paired, show_range, unit_of_difference
from lth.analysis.reading import Measure, metric_of, num_replicates


def against_in_words(each: Against, results: Results) -> str:
    """Return which of two studies is better by how much, or that it is not settled, in a sentence or two.

    Args:
        each: one study beside the first one.
        results: of the first one.
    """
    metric = metric_of(results, "primary")
    compared = each.compared
    apart = [gap for gap in each.gaps if gap.is_apart and gap.is_end]
    if not compared and apart:
        shown = show_paired(apart[-1].pair.difference, metric, results["confidence"])
        return (
            f"{each.other} and {each.first} have no density in common: {_where(apart[-1])} the difference in "
            f"{_measured(metric)} is {shown}, which their densities alone may make.{_rest(each)}"
        )
    if not compared:
        return f"{each.other} and {each.first} have the same networks wherever they can be compared."
    better, worse = ([gap for gap in compared if is_so(gap)] for is_so in (_is_better, _is_worse))
    settled = better + worse
    if not settled:
        return f"{_unsettled(each, compared, results, metric)}{_rest(each)}"
    words = [f"{word} {_where(gaps[-1])} by {_by(gaps[-1], results, metric)}"
             for word, gaps in (("better than", better), ("worse than", worse)) if gaps]  # fmt: skip
    first, *more = words
    sentence = first.replace("than", f"than {each.first}", 1)
    sentence += "".join(f", and {one.replace(' than', '', 1)}" for one in more)
    count = f"; settled at {len(settled)} of {len(compared)} places compared" if len(compared) > 1 else ", settled"
    return f"{each.other} is {sentence}{count}.{_rest(each)}"


def _is_better(gap: Gap) -> bool:
    return gap.pair.is_better


def _is_worse(gap: Gap) -> bool:
    return gap.pair.is_worse


def _unsettled(each: Against, compared: Sequence[Gap], results: Results, metric: Measure) -> str:
    last, count = compared[-1], len(compared)
    head = f"Which of {each.other} and {each.first} is better is not settled"
    head += f" at any of the {count} places compared" if count > 1 else ""
    if len(last.pair.difference["values"]) < 2:
        head = f"One replicate settles nothing about {each.other} and {each.first}"
    shown = show_paired(last.pair.difference, metric, results["confidence"])
    return f"{head}: {_where(last)} the difference in {_measured(metric)} is {shown}."


def _by(gap: Gap, results: Results, metric: Measure) -> str:
    """Return an improvement or a loss without its sign: '0.63 points of test accuracy (95 % interval +0.41 to ...)'."""
    size, unit = show_mean(gap.pair.difference, metric).lstrip("+-"), unit_of_difference(metric)
    between = show_range(gap.pair.difference, metric, results["confidence"])
    return f"{size}{' of' if unit else ' in'} {_measured(metric)} ({between} for the difference)"


def _where(gap: Gap) -> str:
    """Return where a difference is, as part of a sentence: 'at 21 % of the prunable weights'."""
    of = " of the prunable weights" if gap.place.endswith("%") else ""
    if len(gap.arms) > 1:
        return (
            f"comparing {' with '.join(gap.arms)} at the last place of each{f' ({gap.place}{of})' if gap.place else ''}"
        )
    if gap.is_end:
        return f"at the last place of each ({gap.place}{of})"
    return f"at {gap.place}{of}" if gap.place else f"in the {gap.arm} network"


def _measured(metric: Measure) -> str:
    return f"{metric.part} {metric.name}".strip()


def _rest(each: Against) -> str:
    """Return what is to be known besides: networks that both share, and other data."""
    same = [gap for gap in each.gaps if gap.is_same]
    notes = []
    if same:
        where = "one place" if len(same) == 1 else f"{len(same)} places"
        notes.append(f" At {where} both have the same networks.")
    if not each.is_same_data:
        notes.append(" The two were measured on different data.")
    return "".join(notes)


def gap_columns(each: Against, results: Results) -> list[str]:
    """Return the headings of `gap_lines`."""
    unit = unit_of_difference(metric_of(results, "primary")).strip()
    return ["at", each.first, each.other, f"difference{f' ({unit})' if unit else ''}", "interval", "settled"]


def gap_lines(each: Against, results: Results) -> list[list[str]]:
    """Return a row of text for each difference: where, both means, difference, interval, what is settled."""
    metric, lines = metric_of(results, "primary"), []
    is_one_arm = len({name for gap in each.gaps if gap.place for name in gap.arms}) < 2
    for gap in each.gaps:
        difference = gap.pair.difference
        mean = show_mean(difference, metric).removesuffix(unit_of_difference(metric))
        between = show_range(difference, metric, results["confidence"])
        between = between if is_alike(difference) else between.partition(" interval ")[2]
        where = gap.place if is_one_arm and gap.place else f"{gap.arm}{f', {gap.place}' if gap.place else ''}"
        values = [number(values["mean"], metric) for values in (gap.first, gap.other)]
        lines.append([where, *values, *(["", ""] if gap.is_same else [mean, between]), _settled(gap)])
    return lines


def _settled(gap: Gap) -> str:
    """Return what a test says of the other study at a place, in a word or two."""
    if gap.is_same:
        return "same networks"
    if gap.is_apart:
        return "other densities"
    if not gap.pair.is_complete:
        return "no: some diverged"
    if not gap.pair.settled:
        return "no" if len(gap.pair.difference["values"]) > 1 else "one replicate"
    return "better" if gap.pair.is_better else "worse"


def how_compared(against: Sequence[Against], results: Results) -> str:
    """Return how differences were taken and tested, in two sentences; one where there is one replicate."""
    count = sum(len(each.compared) for each in against)
    how = "Differences are of the other study minus the first, paired over replicates."
    if num_replicates(results) < 2 or not count:
        return how
    together = f"all {count} differences together (Holm)" if count > 1 else "this one difference"
    return f"{how} Settled: Student's paired t-test at {100 * (1 - results['confidence']):.3g} % for {together}."
