"""The documentation as a site: public names have their places, it builds without a warning, links lead somewhere."""

import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import lth
from lth.cli.main import app
from lth.studies import STUDIES

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
ROOMS = sorted(path.parent.name for path in (REPOSITORY / "lth").glob("*/__init__.py") if path.parent.name != "cli")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def places(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


def test_public_names_are_on_the_page_of_the_api() -> None:
    text = (DOCS / "api" / "index.md").read_text()
    assert not [name for name in lth.__all__ if f"lth.{name}" not in text]


def test_every_room_and_every_study_has_a_page() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text()
    pages = [f"api/{room}.md" for room in ROOMS] + [f"studies/{name}.md" for name in STUDIES]
    assert not [page for page in pages if not (DOCS / page).is_file() or page not in navigation]


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("other.html#there", None),
        ("#here", None),
        ("https://example.org/nowhere", None),
        ("none.html", "no such page"),
        ("../outside.html", "no such page"),
        ("other.html#nowhere", "no such place"),
    ],
)
def test_links_that_lead_nowhere_are_named(link: str, said: str | None, tmp_path: Path) -> None:
    (tmp_path / "outside.html").write_text("")
    (site := tmp_path / "site").mkdir()
    (site / "index.html").write_text(f'<h1 id="here">A</h1><a href="{link}">b</a>')
    (site / "other.html").write_text('<h2 id="there">B</h2><a href="index.html">a</a>')
    found = broken_links(site)
    assert found == [] if said is None else said in found[0]


def test_what_is_loaded_from_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<script src="https://example.org/a.js"></script>')
    assert broken_links(tmp_path) == ["index.html loads https://example.org/a.js"]


def broken_links(site: Path) -> list[str]:
    return runpy.run_path(str(DOCS / "_site" / "check.py"))["broken_links"](site)


@pytest.mark.slow
def test_the_site_builds_and_its_links_lead_somewhere(site: Path) -> None:
    assert broken_links(site) == []
    assert "source/examples/train_a_ticket.py.html" in (site / "first_hour.html").read_text()
    assert "Unreleased" in (site / "changelog.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_room_is_on_its_page(room: str, site: Path) -> None:
    found = places(site / "api" / f"{room}.html")
    assert not [name for name in importlib.import_module(f"lth.{room}").__all__ if f"lth.{room}.{name}" not in found]


@pytest.mark.slow
def test_every_command_has_its_options_and_studies_lead_there(site: Path) -> None:
    commands = (site / "commands.html").read_text()
    assert not [name for name in app if not name.startswith("-") and f'id="lth-{name}"' not in commands]
    assert "--rewind-to" in commands
    assert "commands.html#lth-rewinding" in (site / "studies" / "rewinding.html").read_text()


@pytest.mark.slow
def test_sections_and_examples_of_docstrings_are_set_apart(site: Path) -> None:
    text = (site / "api" / "index.html").read_text()
    results = text[text.index('id="lth.results"') : text.index('id="lth.Found"')]
    assert ">Raises:</span>" in results
    assert '<span class="n">found</span>' in text  # an example as code
