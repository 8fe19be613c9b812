"""`lth data`: prepare, show, ls; and a study on what prepare wrote."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_runs import outcome, run

TEXT = "Ein Zug fährt ein, ein Zug fährt aus. " * 200


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LTH_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.txt").write_text(TEXT)
    return tmp_path


def test_prepare_and_show(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    arguments = ("data", "prepare", "own.txt", "out", "--tokens", "char", "--workers", "1")
    code, first, error = outcome(capsys, *arguments)
    assert (code, error) == (0, "")  # stderr is no terminal: no progress
    num_val = len(TEXT) - len(TEXT) * 9 // 10
    assert f"{num_val:,} tokens" in first
    assert f"Vocabulary {len(set(TEXT))}" in first
    assert "the first 90 % of the characters are train" in first
    again = run(capsys, *arguments)  # it is there already
    assert again.startswith(first)
    assert "name and the sizes of files that tokens.json notes; their content was not compared" in again
    shown = run(capsys, "data", "show", "out")
    assert shown.startswith(first)
    assert "Checked" in shown
    document = json.loads(run(capsys, "data", "show", "out", "--json"))
    assert document == json.loads((here / "out" / "tokens.json").read_text())
    (here / "out" / "val.bin").write_bytes(b"\1\0" * num_val)
    code, _, error = outcome(capsys, "data", "show", "out")
    assert code == 1
    assert "val.bin is not as tokens.json says (wrong checksum)" in error


def test_an_interruption_is_said_in_one_line(here: Path) -> None:
    (here / "long.txt").write_text(TEXT * 9_000)  # many pieces
    command = [sys.executable, "-m", "lth", "data", "prepare", "long.txt", "out", "--tokens", "char", "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    # What is started in the background of a script ignores the signal, and so would the command.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    while not list((here / "out" / "incoming").glob("0*")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert error == (
        "lth: interrupted. Finished pieces are kept in out/incoming; the same command goes on from there\n"
    )


def test_show_of_nanogpts_folder(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    for part in ("train", "val"):
        np.arange(90, dtype=np.uint16).tofile(here / f"{part}.bin")
    shown = run(capsys, "data", "show", ".")
    assert "no tokens.json" in shown
    assert "Vocabulary 90 (by the largest token)" in shown
    assert json.loads(run(capsys, "data", "show", ".", "--json"))["parts"]["val"]["tokens"] == 90


def test_a_study_reads_the_folder(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    run(capsys, "data", "prepare", "own.txt", "out", "--tokens", "char", "--workers", "1")
    found = run(
        capsys, "find-ticket", "gpt-char:n_embd=16,n_layer=1", "./out:block=16", "--levels", "1", "--replicates", "1",
        "--duration", "20it", "--batch-size", "8", "--optimizer", "adamw", "--lr", "0.01", "--evaluate-every", "10",
        "--workers", "0", "--quiet",
    )  # fmt: skip
    assert "loss" in found
    assert "./out" in run(capsys, "ls")


def test_progress_on_a_terminal(here: Path) -> None:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "lth", "data", "prepare", "own.txt", "out", "--tokens", "char"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=other, timeout=200)
    os.close(other)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert done.returncode == 0
    assert f"tokenising   100 %   {len(TEXT):,} tokens" in shown
    assert shown.endswith("\r\x1b[K")  # the line goes


def test_ls(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "wikitext-2-raw").mkdir()
    (here / "wikitext-2-raw" / "wiki.test.raw").write_text(TEXT)
    rows = {each["name"]: each for each in json.loads(run(capsys, "data", "ls", "--folder", ".", "--json"))}
    assert rows["digits"] == {"name": "digits", "use": ["study"], "where": "comes with scikit-learn"}
    assert rows["tiny-shakespeare"] == {"name": "tiny-shakespeare", "use": ["study", "prepare"], "where": "not here"}
    assert rows["wikitext-2"]["where"] == "wikitext-2-raw lacks train, val"
    assert rows["mnist"]["where"] == "not here"
    lines = run(capsys, "data", "ls").splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split() == ["NAME", "USE", "WHERE"]


def test_ls_finds_what_is_there(capsys: pytest.CaptureFixture[str], real_data_dir: Path) -> None:
    shown = run(capsys, "data", "ls", "--folder", str(real_data_dir))
    assert str(real_data_dir / "mnist") in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "own.txt", "out", "--tokens", "gpt3"], 1, "unknown tokens 'gpt3'. Did you mean 'gpt2'?"),
        (["prepare", "nowhere", "out"], 1, "unknown text 'nowhere'"),
        (["prepare", "own.txt", "out", "--tokens", "char", "--validation", "2"], 1, "validation 2 is no share"),
        (["prepare", "own.txt", "out", "--tokens", "char", "--workers", "0"], 1, "0 workers cannot work"),
        (["prepare", "own.txt", "out", "--bpe", "."], 1, "has neither encoder.json nor vocab.json"),
        (["prepare", "own.txt", "own.txt", "--tokens", "char"], 1, "own.txt"),
        (["prepare", "own.txt"], 2, "OUT"),
        (["show", "."], 1, "train.bin is missing"),
        (["shw", "."], 2, "shw"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    found, _, error = outcome(capsys, "data", *arguments)
    assert found == code
    assert message in error
    assert "\n" not in error
