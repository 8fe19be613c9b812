"""Commands, run in this process: what the tests of the command line share."""

from typing import Any

import pytest

from lth.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what a command that succeeds prints."""
    code, out, error = outcome(capsys, *arguments)
    assert code == 0, error
    return out


def outcome(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return a command's exit code, its output and its errors; no traceback is among them."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    code: Any = ended.value.code
    assert isinstance(code, int)
    return code, captured.out, captured.err.strip()
