"""What README, docs and examples show works as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lth.cli.main import app
from lth.cli.options import read_settings
from lth.studies import STUDIES

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PLACEHOLDERS = {"FILE": "ticket.safetensors", "DIR": "folder", "ID": "3f2a", "STUDY": "supermask"}

EARLIER_COMMANDS = """
lth find-ticket
lth find-ticket lenet-300-100 mnist ./datasets
lth find-ticket lenet-300-100 fashion-mnist ./datasets --levels 12 --rate 0.2 --replicates 5 --rewind-to 500it
lth find-ticket mypackage.nets:make own.npz --duration 20ep
lth methods
lth supermask lenet-300-100 mnist ./datasets
lth compact FILE --out DIR --onnx
lth sparsity FILE
lth plan
lth ls
lth show ID
lth report ID
lth ticket show FILE
lth ticket verify FILE
lth ticket apply FILE --out weights.safetensors
lth doctor
lth find-ticket lenet-300-100 mnist ./datasets --criterion magnitude_increase --scope erk --kept signed_constant
lth find-ticket convnet mnist ./datasets --granularity filters --levels 5 --rate 0.3 --duration 5ep
lth find-ticket lenet-300-100 mnist ./datasets --sparsifier rigl --scope erk --levels 12
lth find-ticket transformer digits --criterion snip --granularity heads --schedule one-shot --levels 2
""".strip().splitlines()
"""What version 0.1.0 documented: command lines of users must go on working."""

EARLIER_YAML = """
model: lenet-300-100
data: mnist
levels: 16
sweep:
  grid: {rate: [0.2, 0.4]}
"""


def name_of(document: Path) -> str:
    return document.relative_to(REPOSITORY).as_posix()


def code_blocks(language: str, text: str = README) -> list[str]:
    """Return the fenced code of a language; that of a fence without one is plain commands."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [code for name, code in fences if name == language]


def command_lines(text: str) -> list[str]:
    """Return the `lth` commands in the code of a document, alternatives and remarks taken apart."""
    lines = [line for block in code_blocks("", text) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(lth [^`]+)`", text)
    commands = []
    for part in (part.strip() for line in lines for part in re.split(r"\s#|;", line)):
        if part.startswith("lth "):
            words = re.sub(r"\[[A-Z]+\]|\.\.\.", "", part.partition(": ")[0])
            alternatives = re.search(r"\S+\|\S+", words)
            choices = alternatives.group().split("|") if alternatives else [""]
            commands += [words.replace(alternatives.group(), each) if alternatives else words for each in choices]
    return commands


def check_command(command: str) -> None:
    """Check that a command parses, with its placeholders filled in, and that its settings fit a study."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)[1:]]
    if words in [[name] for name in app]:
        return  # a command by its name
    function, bound, unused, *_ = app.parse_known_args(words)
    assert not unused, command
    name = words[1] if words[0] == "plan" and len(words) > 1 and words[1] in STUDIES else words[0]
    if name in STUDIES:
        files = STUDIES[name].files
        names = (files,) if files else ("study", "folder") if STUDIES[name].stored else ("model", "data", "folder")
        given = dict(zip(names, bound.args, strict=False)) | bound.kwargs
        config = given.pop("config", None)
        assert function.__name__ == name.replace("-", "_")
        if (from_study := STUDIES[name].from_study) is not None:
            given = from_study(given, "", "find-ticket", STUDIES["find-ticket"].settings().flat())
        read_settings(STUDIES[name], None if config is None or not Path(config).exists() else Path(config), given)


def run_python(code_or_file: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *code_or_file], cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_example_of_the_readme_runs(tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text(code_blocks("python")[0])
    assert run_python(["readme.py"], tmp_path).strip()


@pytest.mark.slow
def test_the_search_of_the_first_hour_runs(tmp_path: Path) -> None:
    code = code_blocks("python", (REPOSITORY / "docs" / "first_hour.md").read_text())[0]
    (tmp_path / "first_hour.py").write_text(f"{code}    print(len(masks), len(trained))\n")
    assert run_python(["first_hour.py"], tmp_path).strip().endswith("2 4")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_python_in_documents_is_python(document: Path) -> None:
    for code in code_blocks("python", document.read_text()):
        compile(code, document.name, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((REPOSITORY / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert run_python([str(example)], tmp_path).strip()


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.name != "CHANGELOG.md"], ids=name_of)
def test_commands_in_documents_are_understood(document: Path) -> None:
    commands = command_lines(document.read_text())
    assert len(commands) >= (5 if document.name == "README.md" else 0)
    for command in commands:
        check_command(command)


@pytest.mark.parametrize("command", EARLIER_COMMANDS)
def test_earlier_commands_are_understood(command: str) -> None:
    check_command(command)


@pytest.mark.parametrize("text", [EARLIER_YAML, *code_blocks("yaml")])
def test_settings_files_are_understood(text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    study = STUDIES[yaml.safe_load(text).pop("run", "find-ticket")]
    studies, _ = read_settings(study, tmp_path / "settings.yaml", {})
    assert len(studies) >= (2 if "sweep" in text else 1)


def anchors_of(text: str) -> set[str]:
    """Return the names that headings can be linked by, as a code host and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_linked_file_and_heading_exists(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), f"the link {target} leads nowhere"
        assert not anchor or anchor in anchors_of(linked.read_text()), f"{target} has no heading #{anchor}"


def test_every_room_is_in_the_file_tree() -> None:
    rooms = {path.parent.name for path in (REPOSITORY / "lth").glob("*/__init__.py")}
    tree = (REPOSITORY / "docs" / "extend.md").read_text()
    assert rooms == {room for room in rooms if f"  {room}/ " in tree}


def test_no_placeholder_is_left() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"\b[A-Z]+_[A-Z_]*(SECTION|TABLE|SENTENCE|ROW)\b", document.read_text()), document.name
