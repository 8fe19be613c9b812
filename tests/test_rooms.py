"""The rooms of the house: imports point one way, tables of contents hold nothing else, importing does nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lth

PACKAGE = Path(lth.__file__).parent
ROOMS = (
    "config", "tasks", "sparsity", "data", "models", "superweights", "training", "lineage", "analysis", "studies",
    "report", "tracking", "launch", "serve", "cli",
)  # fmt: skip
TABLES_OF_CONTENTS = sorted(PACKAGE.glob("*/**/__init__.py"))


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports, at its top or anywhere inside."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        rooms |= {name.split(".")[1] for name in names if name.startswith("lth.")}
    return rooms


def test_every_folder_is_a_room() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_the_docstring_lists_the_rooms_in_order() -> None:
    lines = [line.split() for line in (lth.__doc__ or "").splitlines() if line.startswith("    ")]
    assert tuple(words[0] for words in lines) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room == "report":
        # It draws documents, whose types stand in analysis, and knows nothing else; config answers wrong names.
        allowed = {"config", "analysis", "report"}
    for path in (PACKAGE / room).rglob("*.py"):
        if room == "report" and "config" in imported_rooms(path):
            assert "from lth.config.choices import check_choice" in path.read_text(), path.name
        assert imported_rooms(path) <= allowed, f"{path.name} imports {imported_rooms(path) - allowed}"


@pytest.mark.parametrize("path", TABLES_OF_CONTENTS, ids=lambda path: str(path.parent.relative_to(PACKAGE)))
def test_tables_of_contents_only_import(path: Path) -> None:
    docstring, *statements = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    for statement in statements:
        is_all = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
        assert isinstance(statement, ast.ImportFrom) or is_all


def test_every_public_name_resolves() -> None:
    for name in lth.__all__:
        assert getattr(lth, name) is not None
    with pytest.raises(AttributeError, match="find_ticket"):
        _ = lth.find_tickets
    with pytest.raises(AttributeError, match=r"'levles'; did you mean 'levels'\?$"):
        _ = lth.levles


@pytest.mark.parametrize(("name", "words"), [("superweights", "did you mean 'super_weights'? Or "), ("analysis", "")])
def test_a_room_that_is_not_imported_is_named(name: str, words: str) -> None:
    assert name in ROOMS
    with pytest.raises(AttributeError) as said:
        lth.__getattr__(name)
    assert str(said.value).endswith(f"{name!r}; {words}for the room of that name `import lth.{name}` first")


def test_names_for_the_type_checker_are_those_that_resolve() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    declared = {alias.asname: node.module for node in ast.walk(block) if isinstance(node, ast.ImportFrom)
                for alias in node.names}  # fmt: skip
    assert declared == {name: f"lth.{place}" for name, place in lth._PLACE_OF.items()}


def run_python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)


def test_importing_does_nothing_else() -> None:
    run_python(
        "import sys, logging, lth\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "import torch; state = torch.get_rng_state(); threads = torch.get_num_threads()\n"
        "import lth.launch, lth.cli.main\n"
        "assert torch.equal(state, torch.get_rng_state()) and threads == torch.get_num_threads()\n"
        "assert not logging.getLogger().handlers and not logging.getLogger('lth').handlers"
    )


@pytest.mark.parametrize(
    ("room", "heavy"),
    [
        ("config", "'torch', 'numpy'"),
        ("studies", "'torch', 'numpy', 'scipy'"),
        ("cli.main", "'torch', 'numpy', 'scipy', 'altair'"),
        ("report", "'torch'"),
    ],
)
def test_light_rooms_load_nothing_heavy(room: str, heavy: str) -> None:
    run_python(f"import sys, lth.{room}\nassert not {{{heavy}}} & set(sys.modules)")
