"""`lth find-ticket`: the main job."""

import hashlib
import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from lth.cli.options import study_command
from lth.config import Running


@study_command
def find_ticket(settings: list[dict[str, Any]], running: Running) -> int:
    """Find winning tickets: train, prune, rewind, train again, with controls; write a report.

    Defaults shown are those of lenet-300-100 on digits. On mnist and
    fashion-mnist the preset is the protocol of Frankle & Carbin 2019, Section 2:
    --levels 21 --duration 50000it. What the store already holds is not trained
    again; after an interruption the same command goes on where it was.
    """
    from lth.cli.progress import make_observer
    from lth.cli.studies import engine_lines, engines, execution, load_studies
    from lth.launch import default_out, run_study
    from lth.lineage import Store
    from lth.training import Interrupted

    studies, how = load_studies(settings, running), execution(running)
    # All are looked at before the first is run: one that cannot be trained as asked is found at once.
    lines = [
        engine_lines(engines(((run.arm, run.trained) for run in study.runs), study.sources, how)) for study in studies
    ]
    is_sweep = len(studies) > 1
    found = []
    for number, (study, engine) in enumerate(zip(studies, lines, strict=True), 1):
        out = running.out / study.id if running.out and is_sweep else running.out
        if is_sweep and not running.quiet:
            print(f"study {number} of {len(studies)}: {study.id}", file=sys.stderr)
        observer = make_observer(running.quiet or running.json_, engine)
        try:
            with observer:
                one = run_study(study, Store(running.store), how, observer.attach, out)
        except Interrupted:
            print(
                f"lth: interrupted. Finished trainings and snapshots are kept in {running.store}; the same "
                f"command goes on "
                "from there",
                file=sys.stderr,
            )
            return 130
        found.append(one)
        if not running.json_:
            _print_outcome(one, running.store)
    if is_sweep:
        ids = hashlib.sha256("".join(study.id for study in studies).encode()).hexdigest()[:8]
        folder = (running.out or default_out(studies[0]).parent) / f"comparison-{ids}"
        path = _write_comparison([one.folder for one in found], folder)
        if not running.json_:
            print(f"Comparison {path}")
    if running.json_:
        documents = [one.results for one in found]
        print(json.dumps(documents if is_sweep else documents[0], indent=1, allow_nan=False))
    return 0


def _write_comparison(folders: list[Path], folder: Path) -> Path:
    from lth.report import read_study, write_report

    return write_report([read_study(each) for each in folders], folder)


def _for_terminal(sentence: str) -> str:
    """In lines that break between words, where a terminal would break anywhere."""
    if not sys.stdout.isatty():
        return sentence
    width = shutil.get_terminal_size().columns
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)


def _print_outcome(found: Any, store: Path) -> None:
    for sentence in found.verdict["sentences"]:
        print(_for_terminal(sentence))
    if found.skipped:
        reason = next(iter(found.skipped.values()))
        print(f"{len(found.skipped)} trainings were left out: {reason}.")
    print(f"Report     {found.report}")
    print(f"Results    {found.folder / 'results.json'}")
    print(f"Tickets    {found.folder / 'tickets'} ({len(found.tickets)} files)")
    elsewhere = "" if store == Running().store else f" --store {store}"
    print(f"Study      {found.study.id}   (lth show {found.study.id}{elsewhere})")
