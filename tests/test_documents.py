"""What README, docs and examples show works as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lth.cli.main import app

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def run_python(code_or_file: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *code_or_file], cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_example_of_the_readme_runs(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "readme.py").write_text(code)
    assert "weights" in run_python(["readme.py"], tmp_path)


@pytest.mark.parametrize("example", sorted((REPOSITORY / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert run_python([str(example)], tmp_path).strip()


def test_commands_of_the_readme_are_understood() -> None:
    lines = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("lth ")]
    commands = [
        line for line in lines if "..." not in line and "|" not in line and " ID" not in line and ";" not in line
    ]
    assert len(commands) >= 5
    for command in commands:
        _, bound, unused, *_ = app.parse_known_args(shlex.split(command)[1:])
        assert not unused, command
        assert bound is not None


def test_every_linked_file_exists() -> None:
    documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_room_is_in_the_file_tree() -> None:
    rooms = {path.parent.name for path in (REPOSITORY / "lth").glob("*/__init__.py")}
    assert rooms == {room for room in rooms if f"  {room}/ " in README}


def test_no_placeholder_is_left() -> None:
    for document in (REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")):
        assert not re.search(r"\b[A-Z]+_[A-Z_]*(SECTION|TABLE|SENTENCE|ROW)\b", document.read_text()), document.name
