"""One study as its two result files hold it, read and checked."""

from dataclasses import dataclass
from pathlib import Path

from lth.analysis.documents import Details, Results, read_documents


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The two result files of one study."""

    results: Results
    details: Details


def read_study(folder: Path) -> StudyFiles:
    """Return the study whose results.json and details.json lie in `folder`.

    Raises:
        ValueError: naming the file, if one is missing, damaged, of another format or version, or if the two files
            belong to different studies.
    """
    return StudyFiles(*read_documents(Path(folder)))
