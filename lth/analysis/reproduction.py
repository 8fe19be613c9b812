"""Published numbers beside ours, as a document: written where an experiment is run, read by the page."""

from pathlib import Path
from typing import TypedDict

from lth.analysis.documents import PlotDocument
from lth.config.json_text import parse_json

FILE = "reproduction.json"


class Mean(TypedDict):
    """A mean over replicates, and its interval."""

    mean: float | None
    low: float | None
    high: float | None


class ComparedNumber(TypedDict):
    """A published number beside ours; `published` is null where a paper says which way, not how much."""

    words: str
    published: float | None
    band: list[float | None]
    ours: Mean | None
    verdict: str
    source: str
    digits: int


class Reproduction(TypedDict):
    """The content of reproduction.json.

    `study` is the id of our run; `bands` says how bands were chosen, `chosen` what the paper leaves open; `figures` are
    names of the study's plots, or of `plots`, that stand for the paper's figure, which `figure_words` names.
    """

    experiment: str
    study: str
    words: str
    source: str
    scale: float
    small: str
    bands: str
    chosen: str
    figures: list[str]
    figure_words: str
    plots: list[PlotDocument]
    rows: list[ComparedNumber]


def read_reproduction(folder: Path, study: str) -> Reproduction | None:
    """Return what `lth reproduce` left in a folder; None where there is nothing, or another study's."""
    try:
        document = parse_json((Path(folder) / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{Path(folder) / FILE} cannot be read as JSON ({error}). Run it again, or delete it."
        ) from None
    is_own = isinstance(document, dict) and Reproduction.__required_keys__ <= document.keys()
    return document if is_own and document["study"] == study else None


def band_words(row: ComparedNumber) -> str:
    """Return a band in words: `0.2 to 0.8`, `above 0`, `below 2`."""
    low, high = row["band"]
    if low is None:
        return f"below {high:g}"
    return f"above {low:g}" if high is None else f"{low:g} to {high:g}"


def published_words(row: ComparedNumber) -> str:
    """Return what was published: the number, or that it is a direction alone."""
    return "a direction" if row["published"] is None else f"{row['published']:g}"


def ours_words(row: ComparedNumber) -> tuple[str, str]:
    """Return our mean and its interval, which is empty for one replicate."""
    ours, digits = row["ours"], row["digits"]
    if ours is None or ours["mean"] is None:
        return "not measured", ""
    between = "" if ours["low"] is None else f"{ours['low']:.{digits}f}, {ours['high']:.{digits}f}"
    return f"{ours['mean']:.{digits}f}", between


def scale_words(document: Reproduction) -> str:
    """Return at which scale it was run, and what stands in place of what."""
    words = "at full length" if document["scale"] >= 1 else f"at {100 * document['scale']:g} % of its length"
    return words + (f"; {document['small']}" if document["small"] else "")
