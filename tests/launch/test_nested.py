"""Searches inside searches are refused in one line, and no process outlives or outnumbers what was asked for."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SEARCHING = '''
"""A script without a guard. The first lines are a brake: were searches to nest, they would end at the third."""
import os

depth = int(os.environ.get("SEARCH_DEPTH", "0"))
if depth >= 3:
    os._exit(3)
os.environ["SEARCH_DEPTH"] = str(depth + 1)

import lth
from torch import nn


def make_model(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))


SEARCH
'''
SEARCH = """
found = lth.find_ticket(make_model, "digits", levels=1, replicates=1, duration="20it", controls="none", progress=False,
                        execution=lth.Execution(workers=1))
print(len(found.tickets))
"""
IN_WORKERS = """
if os.environ.get("LTH_IN_WORKER"):
    lth.find_ticket(make_model, "digits", levels=1, execution=lth.Execution(workers=1))
"""
GUARD = 'put the search under `if __name__ == "__main__":`'


def run(folder: Path, *command: str) -> "tuple[subprocess.CompletedProcess[str], int]":
    """Run a command with a mark that its children inherit; return how it ended, and most processes at once."""
    mark = f"LTH_TEST_{uuid.uuid4().hex}"
    environment = {**os.environ, mark: "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    most = 0
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            most = max(most, len(marked(mark)))
            time.sleep(0.05)
        process.kill()
        output, errors = process.communicate()
    for _ in range(100):
        if not marked(mark):
            break
        time.sleep(0.1)
    assert marked(mark) == []
    return subprocess.CompletedProcess(command, process.returncode, output, errors), most


def marked(mark: str) -> list[int]:
    """The living processes that carry a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes() and (path.parent / "stat").read_text().rpartition(")")[2][1] != "Z":
                found.append(int(path.parent.name))
        except OSError:  # it ended while we looked, or is another user's
            continue
    return found


START = "from lth.cli.main import main; main()"
ARGUMENTS = (
    "find-ticket",
    "searching:make_model",
    "digits",
    "--levels",
    "1",
    "--replicates",
    "1",
    "--duration",
    "20it",
)


def write(folder: Path, search: str) -> None:
    (folder / "searching.py").write_text(SEARCHING.replace("SEARCH\n", search))


def test_a_script_that_searches_works_by_itself(tmp_path: Path) -> None:
    write(tmp_path, SEARCH)
    ended, most = run(tmp_path, "searching.py")
    assert (ended.returncode, ended.stdout.strip()) == (0, "1"), ended.stderr
    assert most == 2  # itself and one worker


@pytest.mark.parametrize(
    ("search", "message", "processes"),
    [
        (SEARCH, f"a search was started by a module that is being imported for its model or function: {GUARD}", 1),
        (IN_WORKERS, f"a search was started inside a worker process of another search: {GUARD}", 3),
    ],
    ids=["imported", "in a worker"],
)
def test_a_search_on_import_is_refused_in_one_line(search: str, message: str, processes: int, tmp_path: Path) -> None:
    """From the command line: before anything starts where the module is imported here, else by the first worker."""
    write(tmp_path, search)
    ended, most = run(tmp_path, "-c", START, *ARGUMENTS, "--workers", "2", "--quiet")
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert message in line
    assert line.startswith("lth: ")
    assert most <= processes


def test_the_api_refuses_it_too(tmp_path: Path) -> None:
    write(tmp_path, SEARCH)
    script = 'import lth; lth.find_ticket("searching:make_model", "digits", levels=1)'
    ended, most = run(tmp_path, "-c", script)
    assert ended.returncode == 1
    assert f"is being imported for its model or function: {GUARD}" in ended.stderr.strip().splitlines()[-1]
    assert most == 1
