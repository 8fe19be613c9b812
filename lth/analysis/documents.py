"""The documents that a study leaves, version 2: written by analysis, read by report and by anyone else's programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from lth.config.json_text import parse_json

VERSION = 2

At = dict[str, float | str]
"""A place on the study's axes."""

TableRow = dict[str, Any]
"""A row of a table of the study's own: what it is of, by column, and the fields of an Interval."""


class Interval(TypedDict):
    """A mean over replicates with its confidence interval; `low` and `high` are null for fewer than two values."""

    mean: float | None
    low: float | None
    high: float | None
    values: list[float | None]


class MetricDocument(TypedDict):
    """How a metric is read: `better` is higher or lower; `unit` is fraction, nats, bits or plain."""

    better: str
    unit: str
    words: str


class ArmDocument(TypedDict):
    """One kind of network; `role` is baseline, subject, control or source."""

    name: str
    words: str
    role: str


class PlotDocument(TypedDict):
    """A figure as data, as `lth.studies.Plot` documents it."""

    name: str
    title: str
    words: str
    x: str
    y: str
    x_words: str
    y_words: str
    log_x: bool
    colour: str
    panel: str
    table: str
    mark: str


class Row(TypedDict):
    """One measurement: what was measured at the end and at the best step (`test/accuracy`), by part and metric."""

    key: str
    arm: str
    replicate: int
    at: At
    end: dict[str, float | None]  # null: not a finite number
    at_best: dict[str, float | None]
    best_step: int | None
    steps: int | None  # null: a training function of the user's did not count them
    diverged_at: int | None
    start_digest: NotRequired[str]  # of the weights that a training started from
    missing: NotRequired[str]  # why there is no result: the training before it diverged


class Tile(TypedDict):
    """One of the few numbers beside a verdict."""

    label: str
    value: str
    note: str


class RivalDocument(TypedDict):
    """A control or source beside the subject at one place; see `lth.analysis.comparison.Rival`."""

    value: Interval
    difference: Interval
    is_worse: bool | None
    is_vacuous: bool


class EarlyDocument(TypedDict):
    """Early stopping of the subject and the baseline, and how many of each stop at the last step."""

    subject: Interval
    baseline: Interval
    difference: Interval
    at_last_step: list[int]


class Finding(TypedDict):
    """The subject beside its baseline and its controls, at one place."""

    at: At
    value: Interval
    baseline: Interval
    difference: Interval
    confirmed: bool | None
    controls: dict[str, RivalDocument]
    early_stopping: EarlyDocument | None


class Verdict(TypedDict):
    """What the study concluded. A study may add fields of its own (docs/results.md).

    `found` says whether what was looked for is there, `confirmed` whether its interval settles it (null: no interval,
    or nothing found); `summary` are the few words of `lth ls`, `at` the place of the finding on the study's axes;
    `axis_words` are titles of axes that mean something else than usual in this study. What follows them is that of a
    comparison with a baseline along an axis: the place of the finding, of the furthest match, and of the last of all.
    """

    found: bool
    confirmed: bool | None
    summary: str
    title: str
    sentences: list[str]
    tiles: list[Tile]
    at: At
    axis_words: NotRequired[dict[str, str]]
    margin: NotRequired[float]
    confidence: NotRequired[float]
    replicates: NotRequired[int]
    winning: NotRequired[Finding | None]
    match: NotRequired[Finding | None]
    confirmed_match: NotRequired[Finding | None]
    furthest: NotRequired[Finding | None]
    baseline_over_constant: NotRequired[Interval | None]
    arms: NotRequired[dict[str, list[str]]]


class EnergyDocument(TypedDict):
    """What the buildings of a study took, as a tool measured it; see docs/studies.md."""

    kwh: float
    kg_co2: float
    seconds: float
    buildings: int
    jobs: NotRequired[int]  # of the study's that were built meanwhile, where it was counted
    of_jobs: NotRequired[int]  # jobs of the study
    measured: str  # tools with versions, of what, read or estimated, whose mix of electricity


class SettingsDocument(TypedDict):
    """Names of settings as a page lists them: those unlike the preset, then the rest by group, as help orders them."""

    changed: list[str]
    groups: dict[str, list[str]]


class Unfinished(TypedDict):
    """How far a study was when its results were written: trainings done, of all."""

    done: int
    of: int


class Results(TypedDict):
    """The content of results.json."""

    format: str
    version: int
    id: str
    study: str
    created: str
    config: dict[str, Any]
    environment: dict[str, Any]
    engines: dict[str, int]
    confidence: float
    metrics: dict[str, MetricDocument]
    primary: str  # the metric that the verdict compares
    stop_by: str  # the metric of early stopping, on the validation part
    arms: list[ArmDocument]
    axis: str
    plots: list[PlotDocument]
    constant: dict[str, float | None]  # what the best answer without a look at the input reaches on the test part
    rows: list[Row]
    verdict: Verdict
    settings: NotRequired[SettingsDocument]  # older documents have no order
    energy: NotRequired[EnergyDocument]  # of the study's buildings, where a tool measured it
    unfinished: NotRequired[Unfinished]  # only where results are of a study that is not finished


class Curve(TypedDict):
    """Means over replicates during training, one entry per evaluation; values by `part/metric`.

    `replicates` has the one that figures show of each replicate.
    """

    arm: str
    at: At
    steps: list[int]
    values: dict[str, list[float | None]]
    replicates: NotRequired[dict[str, list[list[float | None]]]]


class LayerDensity(TypedDict):
    """How many weights of one layer are kept at one level (a mean over replicates)."""

    arm: NotRequired[str]  # older documents have one arm at a place
    at: At
    layer: str
    weights: float
    kept: float
    density: float
    replicates: NotRequired[list[float]]  # density in each


class Distribution(TypedDict):
    """Histograms of the surviving weights of one layer: n + 1 edges, n probability densities before and after."""

    arm: NotRequired[str]  # older documents have one arm at a place
    at: At
    layer: str
    edges: list[float]
    start: list[float | None]
    end: list[float | None]


class Box(TypedDict):
    """Magnitudes of the surviving weights of one layer, before and after training: their quantiles at BOX_SHARES."""

    arm: NotRequired[str]  # older documents have one arm at a place
    at: At
    layer: str
    start: list[float]
    end: list[float]


BOX_SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Shares of the weights that lie below the numbers of a Box: the ends of its whiskers, its ends, its middle."""


class DerivationStep(TypedDict):
    """One result on the way to another: its key, its kind and one line in words."""

    key: str
    kind: str
    text: str


class Details(TypedDict):
    """The content of details.json: what the page shows beyond the results."""

    format: str
    version: int
    id: str
    curves: list[Curve]
    layers: list[LayerDensity]
    distributions: list[Distribution]
    boxes: NotRequired[list[Box]]  # means over replicates
    derivation: list[DerivationStep]
    tables: dict[str, list[TableRow]]


RESULTS, DETAILS = "lth.results", "lth.details"


def read_documents(folder: Path) -> tuple[Results, Details]:
    """Return the documents in a study's folder, checked.

    Numbers that JSON cannot hold (NaN, infinities) are read as null.

    Raises:
        ValueError: naming the file, if one is missing, damaged, of another format or version, or if the two files
            belong to different studies.
    """
    folder = Path(folder)
    results: Results = _read(folder / "results.json", RESULTS, TypeAdapter(Results))
    details: Details = _read(folder / "details.json", DETAILS, TypeAdapter(Details))
    if results["id"] != details["id"]:
        raise ValueError(
            f"{folder}: results.json is of study {results['id']!r}, details.json of study {details['id']!r}. "
            "Both must come from one run of one study; run the study again to write both."
        )
    return results, details


def _read(path: Path, form: str, schema: TypeAdapter[Any]) -> Any:
    try:
        document = parse_json(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist. A finished study leaves it in its folder; name that folder."
        ) from None
    except (OSError, ValueError) as error:
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
