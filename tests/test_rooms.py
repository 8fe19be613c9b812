"""The rooms of the house: imports point one way, tables of contents hold nothing else, importing does nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lth

PACKAGE = Path(lth.__file__).parent
ROOMS = (
    "config", "sparsity", "models", "data", "training", "lineage", "studies", "analysis", "report", "launch", "cli",
)  # fmt: skip


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports, at its top or anywhere inside."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("lth.")}
    return found


def test_every_folder_is_a_room() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room == "report":
        allowed = {"report"}  # it reads result files, and nothing else
    for path in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(path) <= allowed, f"{path.name} imports {imported_rooms(path) - allowed}"


@pytest.mark.parametrize("room", ROOMS)
def test_tables_of_contents_only_import(room: str) -> None:
    docstring, *statements = ast.parse((PACKAGE / room / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    for statement in statements:
        is_all = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
        assert isinstance(statement, ast.ImportFrom) or is_all


def test_every_public_name_resolves() -> None:
    for name in lth.__all__:
        assert getattr(lth, name) is not None
    with pytest.raises(AttributeError, match="find_ticket"):
        _ = lth.find_tickets


def test_importing_does_nothing_else() -> None:
    code = (
        "import sys, logging, lth\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "import torch; state = torch.get_rng_state(); threads = torch.get_num_threads()\n"
        "import lth.launch, lth.cli.main\n"
        "assert torch.equal(state, torch.get_rng_state()) and threads == torch.get_num_threads()\n"
        "assert not logging.getLogger().handlers and not logging.getLogger('lth').handlers"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
