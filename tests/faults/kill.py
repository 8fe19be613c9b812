"""Kill the build of a small study at random, again and again, and compare it with a build in peace.

    python -m tests.faults.kill --count 1000 --engine torch

One process imports everything, then forks a child a time, which builds over the one store until it is killed. Half of
the kills come after random milliseconds of its work; half at a random file operation of the store (opening, renaming,
removing), where it can be caught half-written. With `--workers 2` trainings run in worker processes, and half of the
kills hit one of these. Prints what was counted, as JSON.
"""

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lth.data import load_data
from lth.lineage import Execution, Store, build
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.prepare import Study, prepare

OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "shutil.rmtree")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Environment in which no library starts a thread of its own: only then may a process fork."""
WALL_TIMES = "times.json"
"""How long steps took: beside a result, no part of it."""


def small_lenet() -> nn.Module:
    """64-20-10-10, ReLU."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 10)
    )  # fmt: skip


def small_study(replicates: int = 1) -> Study:
    """Two levels with a control, rewound to step 5: five trainings of 20 steps for each replicate."""
    settings: dict[str, Any] = {"model": "small_lenet", "data": "digits", "levels": 2, "rate": 0.5, "lr": 0.01}
    settings |= {"replicates": replicates, "duration": "20it", "rewind_to": "5it", "batch_size": 20}
    settings["controls"] = ("reinit",)
    return prepare(FIND_TICKET, FindTicket(**settings, evaluate_every=10), small_lenet, load_data("digits"))


def results(root: Path) -> dict[str, Any]:
    """Return what a store holds, but for provenance and wall times."""
    found: dict[str, Any] = {}
    for path in sorted(root.glob("objects/*/*/*")):
        name = str(path.relative_to(root))
        if path.name == "manifest.json":
            manifest = json.loads(path.read_bytes())
            manifest["files"].pop(WALL_TIMES, None)
            found[name] = {field: value for field, value in manifest.items() if field != "provenance"}
        elif path.name != WALL_TIMES:
            found[name] = path.read_bytes()
    return found


def phase(operation: str) -> str:
    """Return what a process was at when it began this file operation as its last."""
    event, _, path = operation.partition(" ")
    name = Path(path).name
    if event == "shutil.rmtree" or not path.startswith("/"):
        return "cleaning up"
    if (name.startswith((".snapshot", ".times")) and event != "os.remove") or name == "snapshot":
        return "snapshot"
    if ("/work/." in path and name != ".clock") or ("/objects/" in path and event == "os.mkdir"):
        return "commit"
    if name.startswith("lease") or name == ".clock":
        return "lease"
    return "training or planning" if operation else "start"


STARTED_AGAIN = "LTH_KILL_STARTED_AGAIN"


class HasThreads(Exception):
    """This process has threads, which a fork would lose."""


class Child:
    """A forked process that does something until it ends or is killed; its last file operation can be read here."""

    def __init__(self, act: Callable[[], object], root: Path, die_at: int = 0) -> None:
        self._box = mmap.mmap(-1, 4096)
        self.pid = os.fork()
        if not self.pid:
            self._live(act, str(root), die_at)

    def _live(self, act: Callable[[], object], root: str, die_at: int) -> None:
        left = die_at

        def note(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event not in OPERATIONS:
                return
            path = str(arguments[0])
            if not path.startswith(root) and event not in ("os.remove", "os.rmdir"):
                return  # a removal within a tree names its file alone
            self._box[:] = f"{event} {path}".encode()[:4096].ljust(4096, b"\0")
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(note)
        code = 1
        try:
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def wait(self, seconds: float | None = None, of_cpu: bool = False) -> int | None:
        """Return the exit code, negative for a signal; None if it still runs after so many seconds.

        Seconds of its own CPU time are the same moments on a machine that is busy with other things.
        """
        if seconds is None:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        clock = _cpu_clock(self.pid) if of_cpu else time.CLOCK_MONOTONIC
        start = time.clock_gettime(clock)
        while time.clock_gettime(clock) - start < seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        return None

    @property
    def last_operation(self) -> str:
        return self._box[:].rstrip(b"\0").decode(errors="replace")


def kill_and_resume(made: Study, root: Path, execution: Execution, count: int, moments: random.Random) -> Counter[str]:
    """Build until the study is done, killing at most so many of the builds; return what was counted.

    Raises:
        AssertionError: if a build that was not killed fails.
    """
    counts = Counter[str]()
    longest = 8.0 if execution.in_workers else 0.12
    while True:
        counts["builds that went on from a snapshot"] += any(root.glob("work/*/snapshot*"))
        is_last = counts["kills"] >= count
        by_time = is_last or execution.in_workers or moments.random() < 0.5
        child = Child(
            lambda: build(made.targets, Store(root), made.sources, execution),
            root,
            0 if by_time else moments.randint(1, 50),
        )
        has_moment = by_time and not is_last
        code = child.wait(moments.uniform(0, longest) if has_moment else None, of_cpu=not execution.in_workers)
        if code is None:
            victims = children(child.pid) if execution.in_workers and moments.random() < 0.5 else []
            os.kill(moments.choice(victims) if victims else child.pid, signal.SIGKILL)
            code = child.wait()
            if victims and code == 1:
                counts["of a worker"] += 1
                code = -signal.SIGKILL
        if code == -signal.SIGKILL:
            counts["kills"] += 1
            if counts["kills"] % 100 == 0:
                print(f"{counts['kills']} kills", file=sys.stderr, flush=True)
            counts["after random milliseconds" if by_time else "at a random file operation"] += 1
            counts[f"during {phase(child.last_operation)}"] += 1
            continue
        assert code == 0, f"a build that nobody killed ended with code {code}"
        return counts


def _cpu_clock(pid: int) -> int:
    """Return the clock of a process's CPU time, numbered as Linux numbers them."""
    return (~pid << 3) | 2


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in found.read_text().split()] if found.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="kills")
    parser.add_argument("--engine", nargs="+", default=["torch"], help="torch, sparse or both: so many kills with each")
    parser.add_argument("--replicates", type=int, default=1, help="more make the study longer: five trainings each")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0 trains in the killed process")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="where the stores lie while it runs")
    given = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():  # libraries start threads when they are imported
        os.execve(sys.executable, sys.orig_argv, os.environ | ONE_THREAD)
    torch.set_num_threads(1)
    made = small_study(given.replicates)
    try:
        summaries = [_summary(made, engine, given) for engine in given.engine]
    except HasThreads:  # of compiling: the next start finds all compiled
        if STARTED_AGAIN in os.environ:
            raise
        os.execve(sys.executable, sys.orig_argv, os.environ | {STARTED_AGAIN: "1"})
    print(json.dumps(summaries))
    sys.exit(any(summary["different"] for summary in summaries))


def _summary(made: Study, engine: str, given: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        peace, store = Path(folder) / "peace", Path(folder) / "store"
        # Without workers: it loads all that children shall find loaded, and compiles what is to be compiled.
        build(made.targets, Store(peace), made.sources, Execution(workers=0, engine=engine))
        if len(os.listdir("/proc/self/task")) > 1:
            raise HasThreads("a process with threads must not fork")
        execution = Execution(workers=given.workers, engine=engine, snapshot_seconds=0.0)
        moments, counts, expected = random.Random(given.seed), Counter[str](), results(peace)
        different, left = set[str](), set[str]()
        while counts["kills"] < given.count:  # a study that is done before all kills is begun again, in an empty store
            counts += kill_and_resume(made, store, execution, given.count - counts["kills"], moments)
            found = results(store)
            different |= {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)}
            left |= {path.name for path in store.glob("work/*") if path.name != ".clock"}
            shutil.rmtree(store)
    summary = {
        "engine": engine,
        "workers": given.workers,
        **dict(sorted(counts.items())),
        "files compared": len(expected),
    }
    end = {"different": sorted(different), "left in work": sorted(left), "seconds": int(time.monotonic() - began)}
    return summary | end


if __name__ == "__main__":
    main()
