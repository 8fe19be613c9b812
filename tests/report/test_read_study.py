"""Result files are read whole or refused in one clear line that names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lth.report import Study, read_study


@pytest.fixture
def folder(small_study: Path, tmp_path: Path) -> Path:
    """A copy of the two result files, to damage."""
    for name in ("results.json", "details.json"):
        shutil.copy(small_study / name, tmp_path / name)
    return tmp_path


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Writes the file again after `change` has been made to its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_reads_both_files(small_study: Path) -> None:
    study = read_study(small_study)
    assert study.results == json.loads((small_study / "results.json").read_text())
    assert study.details == json.loads((small_study / "details.json").read_text())


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("details.json", lambda path: path.unlink(), "does not exist"),
    "cut short": ("results.json", lambda path: path.write_text(path.read_text()[:-40]), "cannot be read as JSON"),
    "binary": ("details.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read as JSON"),
    "not a table": ("results.json", lambda path: path.write_text("[1]"), "has format 'list'"),
    "another format": ("results.json", lambda path: edit(path, lambda file: file.update(format="x")), "has format 'x'"),
    "newer": ("details.json", lambda path: edit(path, lambda file: file.update(version=2)), "newer lth"),
    "no levels": ("results.json", lambda path: edit(path, lambda file: file.pop("levels")), "damaged at 'levels'"),
    "text for a number": (
        "results.json",
        lambda path: edit(path, lambda file: file["dense"]["test_accuracy"].update(mean="high")),
        "damaged at 'dense.test_accuracy.mean'",
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


def test_nan_is_read_as_null(folder: Path) -> None:
    edit(folder / "details.json", lambda file: file["curves"][0]["validation_loss"].__setitem__(0, float("nan")))
    study: Study = read_study(folder)
    assert study.details["curves"][0]["validation_loss"][0] is None
