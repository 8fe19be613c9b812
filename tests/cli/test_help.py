"""Help is complete, true and fast."""

import subprocess
import sys

import pytest

from lth.cli.main import main
from lth.config import FindTicket, Running

COMMANDS = (
    "find-ticket",
    "supermask",
    "compact",
    "plan",
    "ls",
    "methods",
    "show",
    "sparsity",
    "report",
    "ticket",
    "doctor",
)


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main([*command, "--help"])
    assert exit_info.value.code == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_lth_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys)
    assert all(command in shown for command in COMMANDS)
    assert "130 interrupted" in shown


@pytest.mark.parametrize("command", ["find-ticket", "plan"])
def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str], command: str) -> None:
    shown = help_of(capsys, command)
    for name, info in {**FindTicket.model_fields, **Running.model_fields}.items():
        assert f"--{(info.alias or name).replace('_', '-')}" in shown
        assert info.description, f"{name} has no help text"


def test_defaults_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys, "find-ticket")
    for text in ("[default: lenet-300-100]", "[default: 0.2]", "[default: 0.0012]", "[default: reinit,random]"):
        assert text in shown


@pytest.mark.parametrize("arguments", [["--help"], ["find-ticket", "--help"], ["ticket", "verify", "--help"]])
def test_help_imports_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom lth.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules and 'altair' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=200)


def test_module_and_script_are_the_same() -> None:
    shown = subprocess.run([sys.executable, "-m", "lth", "--version"], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "0.1.0"
