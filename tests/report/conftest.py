"""Studies to report on: a real one, one of each other shape, and copies with parts missing."""

from pathlib import Path

import pytest
from made import SHAPES, converted, other_seed, with_rows

from lth.report import StudyFiles, write_report


@pytest.fixture(scope="session")
def studies() -> dict[str, StudyFiles]:
    """One study of each shape, by name."""
    return {name: make() for name, make in SHAPES.items()}


@pytest.fixture(scope="session")
def pages(studies: dict[str, StudyFiles], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each study, and one that compares the real one with a copy of another seed."""
    folder = tmp_path_factory.mktemp("pages")
    found = {name: write_report([study], folder / name) for name, study in studies.items()}
    both = [studies["find-ticket"], other_seed(studies["find-ticket"])]
    return found | {"comparison": write_report(both, folder / "comparison")}


@pytest.fixture
def study() -> StudyFiles:
    """The real study, to change."""
    return converted()


@pytest.fixture
def one_replicate(study: StudyFiles) -> StudyFiles:
    """The real study as if it had one replicate: no interval anywhere."""
    return with_rows(study, lambda row: row["replicate"] == 0)


@pytest.fixture
def no_controls(study: StudyFiles) -> StudyFiles:
    """The real study as if all controls were off."""
    arms = ("dense", "ticket")
    study.details["curves"] = [curve for curve in study.details["curves"] if curve["arm"] in arms]
    return with_rows(study, lambda row: row["arm"] in arms)
