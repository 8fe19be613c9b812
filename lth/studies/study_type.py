"""What a study is: settings, arms, which jobs answer its question, and what is concluded from them.

Study files load torch and scipy only inside of their functions, so that help is fast.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Metric, StudySettings, check_names

if TYPE_CHECKING:
    from lth.data import Data
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds

S = TypeVar("S", bound=StudySettings)


def compared(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Compare each subject with the baseline and every control, paired over replicates."""
    from lth.analysis.arms import compare_arms  # loads scipy, which help does without

    return Conclusion(compare_arms(results, finding="gain"))


def criterion_traces(settings: StudySettings) -> tuple[str, ...]:
    """Return what trainings keep for the criterion of `masks`: the `traces` of a study that prunes by it alone."""
    from lth.sparsity import criterion

    return criterion(settings.masks.criterion).traces  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class StudyType(Generic[S]):
    """A kind of study, one file each.

    Attributes:
        name: its command.
        words: one line for help: what it answers.
        settings: flags, YAML and Python keywords come from it.
        arms: in the order of every legend.
        arms_of: settings -> further arms, after those, where they follow from the settings.
        derive: (settings, subject, seeds, replicate) -> the points of one replicate; pure: nothing is trained in it.
        conclude: (results document without verdict, reader, points) -> what it says; by default each subject beside
            the baseline and every control.
        plots: figures, the most important one first.
        presets: whole settings by name; the first that fits a model and data set is their default.
        usual: (model, data) -> whole settings where no preset fits them; None where there are none either.
        groups: presets that are run together, by one name.
        axis: the axis whose values are rows of progress and of `lth show`; empty for one row.
        metrics: the study's own, beside those of the task; the first is its primary one, if there are any.
        resolve: (settings, subject) -> settings with defaults that follow from the model filled in.
        traces: settings -> what trainings keep beside their weights.
        from_files: (settings, data, whether a name is that of a model of `transformers`) -> settings with what follows
            from files that they name, before the model is loaded.
        others: settings -> whole settings of further subjects by name, as `source`: other data, another recipe. Each
            is prepared as the study's own is, and stands in `subject.others`; its data are named by the setting
            `NAME_data`.
        adapt: (settings, data, data of the others by name) -> the study's data as its networks take them.
        files: the setting that files on the command line go to, in place of model and data; a folder among them is
            that of the data.
        stored: the setting that names a study of the store, which stands on the command line in place of model and
            data.
        from_study: (given, ID, kind, settings of that study) -> what is given, with the rest from that study.
        help: further lines of help.
        first: settings that help shows first, beside model, data and those of every study.
        examples: command lines, with what they do behind a `#`.
    Raises:
        ValueError: if two settings share a name.
    """

    name: str
    words: str
    settings: type[S]
    arms: tuple[Arm, ...]
    derive: "Callable[[S, Subject, Seeds, int], Iterator[Point]]"
    plots: tuple[Plot, ...]
    conclude: "Callable[[Results, Reader, list[Point]], Conclusion]" = compared
    presets: Mapping[str, Callable[[], S]] = field(default_factory=dict)
    usual: Callable[[str, str], S | None] | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    axis: str = ""
    metrics: tuple[Metric, ...] = ()
    resolve: "Callable[[S, Subject], S] | None" = None
    traces: Callable[[S], tuple[str, ...]] | None = None
    arms_of: Callable[[S], tuple[Arm, ...]] | None = None
    from_files: "Callable[[S, Data, Callable[[str], bool]], S] | None" = None
    others: Callable[[S], Mapping[str, StudySettings]] | None = None
    adapt: "Callable[[S, Data, Mapping[str, Data]], Data] | None" = None
    files: str = ""
    stored: str = ""
    from_study: Callable[[Mapping[str, Any], str, str, Mapping[str, Any]], dict[str, Any]] | None = None
    help: str = ""
    first: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.settings)
