"""One study as its result files hold it, read and checked."""

from dataclasses import dataclass
from pathlib import Path

from lth.analysis.documents import Details, Results, read_documents
from lth.analysis.reproduction import Reproduction, read_reproduction


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The two result files of one study, and what it reproduces, if anything."""

    results: Results
    details: Details
    reproduction: Reproduction | None = None


def read_study(folder: Path) -> StudyFiles:
    """Return the study whose results.json and details.json lie in `folder`.

    Raises:
        ValueError: naming the file, if one is missing, damaged, of another format or version, or if the two files
            belong to different studies.
    """
    results, details = read_documents(Path(folder))
    return StudyFiles(results, details, read_reproduction(folder, results["id"]))
