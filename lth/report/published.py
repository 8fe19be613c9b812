"""The part of a page that sets published numbers beside ours."""

from typing import Any

from lth.analysis.documents import PlotDocument
from lth.analysis.reproduction import Reproduction, band_words, ours_words, published_words, scale_words
from lth.report.early import drawn_plots
from lth.report.figure import Figure
from lth.report.study import StudyFiles


def published_context(document: Reproduction) -> dict[str, Any]:
    """Return what the template shows of a reproduction: a line for each published number."""
    lines = [
        {
            "words": row["words"],
            "published": published_words(row),
            "source": row["source"],
            "band": band_words(row),
            "ours": ours_words(row),
            "verdict": row["verdict"],
        }
        for row in document["rows"]
    ]
    return {**document, "lines": lines, "scale": scale_words(document)}


def plots_of(study: StudyFiles, *, whole: bool = False) -> list[PlotDocument]:
    """Return the plots of a study, and those of the experiment that it reproduces; the paper's figure comes first.

    Early stopping is left out where it says nothing and is no figure of the paper, unless the whole is asked for.
    """
    first = study.reproduction["figures"] if study.reproduction else []
    own = study.results["plots"] if whole else drawn_plots([study.results], first)
    plots = [*own, *(study.reproduction["plots"] if study.reproduction else [])]
    return sorted(plots, key=lambda plot: first.index(plot["name"]) if plot["name"] in first else len(first))


def is_of_paper(study: StudyFiles, figure: Figure) -> bool:
    """Return whether a figure stands for the paper's."""
    return study.reproduction is not None and figure.name in study.reproduction["figures"]
