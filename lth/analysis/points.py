"""What studies are made of: arms, points, figures as data, and what is concluded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lth.analysis.documents import TableRow, Verdict

if TYPE_CHECKING:
    from lth.lineage import Job

Role = Literal["baseline", "subject", "control", "source"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One kind of network in a study.

    Attributes:
        name: as figures and tables show it.
        words: what it is, for people.
        role: `baseline` is compared with, `subject` is what the question is about, a `control` makes a claim hold, a
            `source` is trained on the way.
    """

    name: str
    words: str
    role: Role = "subject"


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One measurement of a study.

    Attributes:
        job: what is done.
        arm: name of its arm.
        replicate: counts from 0.
        at: its place on the study's axes: {"level": 3, "density": 0.51}, {"share": 0.4}.
        item: which of the job's results, where it has several.
    """

    job: "Job"
    arm: str
    replicate: int
    at: Mapping[str, float | str] = field(default_factory=dict)
    item: int = 0


def place_words(arm: str, at: Mapping[str, float | str], replicate: int) -> str:
    """Return whose network it is: `ticket, level 3, replicate 0`."""
    place = [f"{axis.replace('_', ' ')} {value}" for axis, value in at.items() if axis != "density"]
    return ", ".join([arm, *place, f"replicate {replicate}"])


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure, as data: the report draws it, a line per arm, with a band over replicates.

    Attributes:
        name: of its file.
        title: above it.
        words: what it shows, below it.
        x: an axis of `Point.at`, or a column of `table`.
        y: what is measured: `primary` (the task's first metric on the test part at the end), `end/NAME`,
            `at_best/NAME`, `best_step`, or a column of `table`: there `primary` is in the metric's own unit, and
            `difference` in that of its differences (points for fractions).
        x_words, y_words: titles of the axes; empty for the axis' or metric's own words.
        log_x: whether x is logarithmic, falling from left to right where it is a density.
        colour: column that colours tell apart; `arm` by default.
        panel: column that makes a panel of each of its values; empty for one panel.
        table: a table of the conclusion, in place of the rows.
        mark: `line` (mean over replicates), `bar`, or `point`.
    """

    name: str
    title: str
    words: str
    x: str
    y: str = "primary"
    x_words: str = ""
    y_words: str = ""
    log_x: bool = False
    colour: str = "arm"
    panel: str = ""
    table: str = ""
    mark: Literal["line", "bar", "point"] = "line"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a study says.

    Attributes:
        verdict: as in the results document.
        tables: further tables for figures and readers, by name: rows of one kind.
    """

    verdict: Verdict
    tables: Mapping[str, list[TableRow]] = field(default_factory=dict)
