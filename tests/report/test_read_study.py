"""Result files are read whole or refused in one clear line that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import language_model

from lth.report import read_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The two result files of a study, to damage."""
    study = language_model()
    (tmp_path / "results.json").write_text(json.dumps(study.results))
    (tmp_path / "details.json").write_text(json.dumps(study.details))
    return tmp_path


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Writes the file again after `change` has been made to its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_reads_both_files(folder: Path) -> None:
    study = read_study(folder)
    assert study.results["id"] == study.details["id"]
    assert study.results["primary"] == "loss"


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("details.json", lambda path: path.unlink(), "does not exist"),
    "cut short": ("results.json", lambda path: path.write_text(path.read_text()[:-40]), "cannot be read as JSON"),
    "binary": ("details.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read as JSON"),
    "not a table": ("results.json", lambda path: path.write_text("[1]"), "has format 'list'"),
    "another format": ("results.json", lambda path: edit(path, lambda file: file.update(format="x")), "has format 'x'"),
    "older": ("results.json", lambda path: edit(path, lambda file: file.update(version=1)), "Run the study again"),
    "newer": ("details.json", lambda path: edit(path, lambda file: file.update(version=3)), "newer lth"),
    "no rows": ("results.json", lambda path: edit(path, lambda file: file.pop("rows")), "damaged at 'rows'"),
    "text for a number": (
        "results.json",
        lambda path: edit(path, lambda file: file["rows"][0].update(replicate="first")),
        "damaged at 'rows.0.replicate'",
    ),
    "no title": (
        "results.json",
        lambda path: edit(path, lambda file: file["verdict"].pop("title")),
        "damaged at 'verdict.title'",
    ),
    "two studies": ("details.json", lambda path: edit(path, lambda file: file.update(id="f" * 12)), "'ffffffffffff'"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(folder: Path, kind: str) -> None:
    name, damage, words = DAMAGE[kind]
    damage(folder / name)
    with pytest.raises(ValueError, match=r"results\.json|details\.json") as caught:
        read_study(folder)
    message = str(caught.value)
    assert words in message
    assert str(folder) in message
    assert name in message
    assert "\n" not in message


def test_what_is_no_number_is_read_as_null(folder: Path) -> None:
    edit(folder / "results.json", lambda file: file["rows"][0]["end"].update({"test/perplexity": float("inf")}))
    assert read_study(folder).results["rows"][0]["end"]["test/perplexity"] is None
