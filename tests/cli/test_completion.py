"""Shells complete commands and options, once `lth --install-completion` was run."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_runs import run

COMPLETED = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_lth lth "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    run(capsys, "--install-completion", "--shell", "bash")
    [script] = (tmp_path / ".local").rglob("lth")
    assert str(script) in (tmp_path / ".bashrc").read_text()

    def completed(*words: str) -> list[str]:
        command = ["bash", "--norc", "-c", COMPLETED, "bash", str(script), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert completed("lth", "find-") == ["find-ticket"]
    assert completed("lth", "find-ticket", "--lev") == ["--levels", "--level-rates"]
    assert completed("lth", "nothing-of-the-kind", "--lev") == []
