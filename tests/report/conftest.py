"""Studies to report on: the real small one, and copies of it with parts missing."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from lth.report import Study, read_study, write_report


@pytest.fixture(scope="session")
def study(small_study: Path) -> Study:
    """The small study, read."""
    return read_study(small_study)


@pytest.fixture(scope="session")
def report(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the small study: the path of its page."""
    return write_report([study], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def comparison(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that compares the small study with a copy of another id and seed."""
    other = deepcopy(study)
    other.results["id"] = other.details["id"] = "0" * 12
    other.results["config"]["seed"] = "another"
    return write_report([study, other], tmp_path_factory.mktemp("comparison"))


@pytest.fixture
def one_replicate(study: Study) -> Study:
    """The small study as if it had one replicate: no interval anywhere."""
    single = deepcopy(study)
    _keep_first_replicate(single.results)
    return single


def _keep_first_replicate(node: Any) -> None:
    if isinstance(node, dict) and "values" in node:
        node.update(values=node["values"][:1], mean=node["values"][0], low=None, high=None)
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            _keep_first_replicate(child)


@pytest.fixture
def no_controls(study: Study) -> Study:
    """The small study as if all controls were off."""
    alone = deepcopy(study)
    for level in alone.results["levels"]:
        level["arms"] = {"ticket": level["arms"]["ticket"]}
    alone.results["verdict"]["controls"] = {}
    alone.details["curves"] = [curve for curve in alone.details["curves"] if curve["arm"] in ("dense", "ticket")]
    return alone
