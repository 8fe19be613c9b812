"""The few numbers that stand beside a verdict."""

from lth.report import words
from lth.report.study import Interval, Speedup, Study


def tiles(study: Study) -> list[dict[str, str]]:
    """For each number a label, a value and a note with its interval; empty where no ticket was found."""
    verdict, confidence = study.results["verdict"], study.results["confidence"]
    level, density = verdict.get("level"), verdict.get("density")
    if not verdict["found"] or level is None or density is None:
        return []
    settled = "; not settled" if verdict.get("confirmed") is False else ""
    shown = [
        _tile("Sparsest matching ticket", f"{words.remaining(density)} %", f"of the weights, level {level}{settled}")
    ]
    if difference := verdict.get("difference_from_dense"):
        shown.append(_difference("Accuracy against dense", difference, confidence))
    speedup = verdict.get("speedup")
    if speedup and speedup["ratio"] is not None:
        shown.append(_early_stopping(speedup, speedup["ratio"]))
    for arm, control in (verdict.get("controls") or {}).items():
        if control["difference"]:
            shown.append(_difference(f"Accuracy against {arm}", control["difference"], confidence))
    return shown


def _tile(label: str, value: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "note": note}


def _difference(label: str, difference: Interval, confidence: float) -> dict[str, str]:
    return _tile(label, f"{words.points(difference)} points", words.point_range(difference, confidence))


def _early_stopping(speedup: Speedup, ratio: float) -> dict[str, str]:
    """How much earlier, by the ratio of the means; the note has the means and the interval of their difference."""
    percent = round(100 * abs(1 - ratio))
    value = f"{percent} % {'earlier' if ratio < 1 else 'later'}" if percent else "no earlier"
    ends = (speedup["ticket_early_stop"], speedup["dense_early_stop"])
    ticket, dense = (words.number(end["mean"] if end else None) for end in ends)
    difference = speedup.get("difference")
    between = ""
    if difference and difference["low"] is not None and difference["high"] is not None:
        low, high = (words.number(end, signed=True) for end in (difference["low"], difference["high"]))
        between = f"; difference {low} to {high}"
    return _tile("Early stopping", value, f"iteration {ticket}, dense {dense}{between}")
