"""One study as its result files hold it, read and checked."""

from dataclasses import dataclass, field
from pathlib import Path

from lth.analysis.documents import Details, Results, read_documents
from lth.analysis.labels import Labels, read_labels
from lth.analysis.reproduction import Reproduction, read_reproduction


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The two result files of one study, what it reproduces, if anything, and what users call it."""

    results: Results
    details: Details
    reproduction: Reproduction | None = None
    labels: Labels = field(default_factory=Labels)

    @property
    def name(self) -> str:
        """The name that a user gave it; empty without one."""
        return self.labels.name or ""


def read_study(folder: Path, labels: Labels | None = None) -> StudyFiles:
    """Return the study whose results.json and details.json lie in `folder`.

    Args:
        folder: that of the study in a store, or of its report.
        labels: its name and commands [default: those in the folder, as a store has them].
    Raises:
        ValueError: naming the file, if one is missing, damaged, of another format or version, or if the two files
            belong to different studies.
    """
    results, details = read_documents(Path(folder))
    return StudyFiles(
        results, details, read_reproduction(folder, results["id"]), read_labels(folder) if labels is None else labels
    )
