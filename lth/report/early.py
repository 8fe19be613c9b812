"""Figures of early stopping, which say nothing where trainings are best at their last step."""

from collections.abc import Sequence

from lth.analysis.documents import PlotDocument, Results
from lth.analysis.reading import BEST_STEP, best_is_last

MOST = 0.9
"""Share of trainings, best at their last step, from which on early stopping is not drawn: its line is flat."""


def drawn_plots(several: Sequence[Results], always: Sequence[str] = ()) -> list[PlotDocument]:
    """Return the plots of the first of some results; those of early stopping only where they say something.

    Args:
        several: at least one, drawn in one figure.
        always: names of plots that stay.
    """
    is_left_out = bool(undrawn_words(several))
    return [
        plot
        for plot in several[0]["plots"]
        if not (is_left_out and is_of_early_stopping(plot)) or plot["name"] in always
    ]


def is_of_early_stopping(plot: PlotDocument) -> bool:
    """Return whether a plot shows the best step, or what is measured there."""
    return not plot["table"] and (plot["y"] == BEST_STEP or plot["y"].startswith("at_best/"))


def undrawn_words(several: Sequence[Results]) -> str:
    """Return why early stopping is not drawn, in one sentence; empty where it is, or the last steps are not known."""
    rows = [row for results in several for row in results["rows"] if row["best_step"] is not None]
    late = sum(map(best_is_last, rows))
    if not late or late < MOST * len(rows):
        return ""
    return f"Early stopping is not drawn: {late:,} of {len(rows):,} trainings are best at their last step."
