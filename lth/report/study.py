"""One study as its two result files tell it, read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, get_args

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

ArmName = Literal["ticket", "sparsified", "reinit", "random"]
ARMS: tuple[ArmName, ...] = get_args(ArmName)
VERSION = 1


class Interval(TypedDict):
    """A mean over replicates with its confidence interval; `low` and `high` are null with one replicate."""

    mean: float | None
    low: float | None
    high: float | None
    values: list[float | None]


class Measures(TypedDict):
    """What was measured of one arm at one level; accuracies are fractions, iterations count optimizer steps."""

    test_accuracy: Interval
    early_stop_test_accuracy: Interval
    validation_loss: Interval
    early_stop_iteration: Interval
    diverged: int


class DenseMeasures(Measures):
    """The measures of the dense network, level 0."""

    density: float


class Level(TypedDict):
    """One pruning level: the density that it reached and the arms that were trained there."""

    level: int
    density: float
    arms: dict[ArmName, Measures]


class Speedup(TypedDict):
    """Early-stopping iteration of the ticket and of the dense network, and the first divided by the second."""

    ticket_early_stop: Interval | None
    dense_early_stop: Interval | None
    ratio: float | None
    difference: NotRequired[Interval | None]


class ControlDifference(TypedDict):
    """Test accuracy of the ticket minus that of one control, at the level of the verdict."""

    difference: Interval | None


class Verdict(TypedDict):
    """What the study concluded; the numbers are null where no ticket was found.

    `confirmed` tells whether the whole interval of the difference from the dense network lies above the margin; it is
    null with one replicate.
    """

    found: bool
    sentences: list[str]
    level: NotRequired[int | None]
    density: NotRequired[float | None]
    confirmed: NotRequired[bool | None]
    difference_from_dense: NotRequired[Interval | None]
    speedup: NotRequired[Speedup | None]
    controls: NotRequired[dict[ArmName, ControlDifference] | None]


class Results(TypedDict):
    """The content of results.json; `engines` says how many networks each engine trained."""

    id: str
    config: dict[str, Any]
    environment: dict[str, Any]
    engines: NotRequired[dict[str, int]]
    confidence: float
    dense: DenseMeasures
    levels: list[Level]
    verdict: Verdict


class Curve(TypedDict):
    """Means over replicates during training, one entry per evaluation."""

    level: int
    density: float
    arm: Literal["dense", "ticket", "sparsified", "reinit", "random"]
    iterations: list[int]
    validation_accuracy: list[float | None]
    validation_loss: list[float | None]
    train_loss: list[float | None]


class LayerDensity(TypedDict):
    """How many weights of one layer are kept at one level (a mean over replicates)."""

    level: int
    layer: str
    weights: float
    kept: float
    density: float


class Distribution(TypedDict):
    """Histograms of the surviving weights of one layer: n + 1 edges, n probability densities before and after."""

    level: int
    density: float
    layer: str
    edges: list[float]
    initial: list[float | None]
    final: list[float | None]


class DerivationStep(TypedDict):
    """One result on the way to the ticket: its key, its kind and one line in words."""

    key: str
    kind: str
    text: str


class Details(TypedDict):
    """The content of details.json."""

    id: str
    curves: list[Curve]
    layers: list[LayerDensity]
    distributions: list[Distribution]
    derivation: list[DerivationStep]


@dataclass(frozen=True, slots=True)
class Study:
    """The two result files of one study."""

    results: Results
    details: Details


def read_study(folder: Path) -> Study:
    """The study whose results.json and details.json lie in `folder`.

    Numbers that JSON cannot hold (NaN, infinities) are read as null.

    Raises:
        ValueError: naming the file, if one is missing, damaged, of another format or of a newer version, or if the two
            files belong to different studies.
    """
    folder = Path(folder)
    results = _read(folder / "results.json", "lth.results", TypeAdapter(Results))
    details = _read(folder / "details.json", "lth.details", TypeAdapter(Details))
    if results["id"] != details["id"]:
        raise ValueError(
            f"{folder}: results.json is of study {results['id']!r}, details.json of study {details['id']!r}. "
            "Both must come from one run of one study; run the study again to write both."
        )
    return Study(results, details)


def _read(path: Path, form: str, schema: TypeAdapter[Any]) -> Any:
    """The checked content of one result file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist. A finished study leaves it in its folder; name that folder."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}). Run the study again to write it anew.") from None
    if not isinstance(document, Mapping) or document.get("format") != form:
        found = document.get("format") if isinstance(document, Mapping) else type(document).__name__
        raise ValueError(f"{path} has format {found!r}; expected {form!r}. Is it a result file of this package?")
    version = document.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        advice = "Read it with a newer lth." if newer else "Run the study again to write it anew."
        raise ValueError(f"{path} has version {version!r}; this lth reads version {VERSION}. {advice}")
    try:
        schema.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(
            f"{path} is damaged at {place!r}: {first['msg']}. Run the study again to write it anew."
        ) from None
    return document
