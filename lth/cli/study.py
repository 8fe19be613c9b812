"""The commands of studies: each entry of STUDIES runs, plans and reproduces by the same code."""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.options import Flag
from lth.config import Running, StudySettings, as_settings_error
from lth.studies import EXPERIMENTS, StudyType

if TYPE_CHECKING:
    from lth.launch import Found
    from lth.lineage import Execution
    from lth.studies.prepare import Study


def run(study: StudyType[Any], settings: Sequence[StudySettings], running: Running) -> int:
    """Run each study that is asked for; a sweep ends in a comparison."""
    from lth.launch import default_out, follow_study, load_studies, run_study
    from lth.launch.progress import make_progress
    from lth.lineage import Store
    from lth.training import Interrupted

    studies, execution = load_studies(study, settings, running.folder), execution_of(running)
    if not execution.ranks.is_first:
        for prepared in studies:
            follow_study(prepared, Store(running.store), execution)
        return 0
    # All are looked at before the first is run: one that cannot be trained as asked is said at once.
    notes = [engine_lines(prepared, execution) for prepared in studies]
    is_sweep, results = len(studies) > 1, list["Found"]()
    for number, (prepared, lines) in enumerate(zip(studies, notes, strict=True), 1):
        out = running.out / prepared.id if running.out and is_sweep else running.out
        if is_sweep and not running.quiet:
            print(f"study {number} of {len(studies)}: {prepared.id}", file=sys.stderr)
        devices = [execution.device] * execution.ranks.size
        progress = make_progress(is_quiet=running.quiet or running.json_, notes=lines, devices=devices)
        try:
            results.append(run_study(prepared, Store(running.store), execution, progress, out))
        except Interrupted:
            print(
                f"lth: interrupted. Finished work and snapshots are kept in {running.store}; the same command goes on "
                "from there",
                file=sys.stderr,
            )
            return 130
        if not running.json_:
            print_outcome(results[-1], running.store)
    if is_sweep:
        from lth.report import read_study, write_report

        ids = hashlib.sha256("".join(each.id for each in results).encode()).hexdigest()[:8]
        folder = (running.out or default_out(studies[0]).parent) / f"comparison-{ids}"
        path = write_report([read_study(each.folder) for each in results], folder)
        if not running.json_:
            print(f"Comparison {path}")
    if running.json_:
        documents = [each.results for each in results]
        print(json.dumps(documents if is_sweep else documents[0], indent=1, allow_nan=False))
    return 0


def plan(study: StudyType[Any], settings: Sequence[StudySettings], running: Running) -> int:
    """Show what a study would do: what is done already, steps, time. Nothing is kept."""
    from lth.launch import load_studies
    from lth.launch.plan import plan_document, print_plan
    from lth.lineage import Store

    execution = execution_of(running)
    studies = load_studies(study, settings, running.folder)
    documents = [plan_document(prepared, Store(running.store), execution) for prepared in studies]
    if running.json_:
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=1))
    else:
        for document in documents:
            print_plan(document)
    return 0


def reproduce(
    name: str | None = None,
    folder: Path | None = None,
    /,
    *,
    scale: float = 1.0,
    replicates: int | None = None,
    store: Path = Path("lth-store"),
    out: Path | None = None,
    workers: int | None = None,
    quiet: Flag = False,
    json_: Flag = False,
) -> int:
    """Run a published experiment and put its numbers beside ours, with a verdict for each. Without a name: list them.

        lth reproduce frankle-carbin-lenet ./datasets --scale 0.1 --replicates 3

    Args:
        name: an experiment.
        folder: folder of data files; missing ones are downloaded into it.
        scale: share of the paper's training length, as 0.1; numbers that need the full length say so.
        replicates: networks with seeds of their own [default: the paper's].
        store: folder of results.
        out: folder of the report.
        workers: one-thread worker processes [default: one per core].
        quiet: show no progress.
        json_: print JSON.
    """
    if name is None:
        for each, experiment in EXPERIMENTS.items():
            print(f"{each:28} {experiment.words} ({experiment.source})")
        return 0
    with settings_as_usage():
        experiment = EXPERIMENTS.pick(name)
    if not 0 < scale <= 1:
        raise UsageError(f"--scale {scale:g} is no share of the paper's length: give a number above 0, at most 1")
    from lth.launch.reproduce import print_comparison, reproduce_experiment

    with settings_as_usage():
        with as_settings_error():
            running = Running(folder=folder, store=store, out=out, workers=workers, quiet=quiet, json=json_)
        outcome, rows = reproduce_experiment(experiment, scale, replicates, running, execution_of(running))
    if json_:
        print(json.dumps({"experiment": name, "scale": scale, "study": outcome.id, "rows": rows}, indent=1))
    else:
        print_comparison(experiment, scale, rows)
        print(f"Report     {outcome.report}")
    return 0


def execution_of(running: Running) -> "Execution":
    """Return how jobs run here.

    Raises:
        CommandError: if a GPU is asked for and there is none.
    """
    import torch

    from lth.lineage import Execution
    from lth.training.ranks import join

    if running.device == "cuda" and not torch.cuda.is_available():
        raise CommandError("--device cuda: PyTorch sees no GPU here. Leave the option out, or see `lth doctor`")
    workers: dict[str, Any] = {} if running.workers is None else {"workers": running.workers}
    if running.compiled:
        workers = {"workers": 0}
    return Execution(
        device=running.device,
        population=running.population,
        engine=running.engine,
        compiled=running.compiled,
        micro_batch=running.micro_batch,
        ranks=join(running.device),
        **workers,
    )


def engine_lines(prepared: "Study", execution: "Execution") -> list[str]:
    """Return which engine trains what, and why, a line per engine."""
    from lth.launch.plan import engines_of

    rows = engines_of(prepared, execution)
    parts = [f" for {', '.join(row['arms'])}" if len(rows) > 1 else "" for row in rows]
    return [f"engine: {row['engine']}{part} ({row['reason']})" for row, part in zip(rows, parts, strict=True)]


def print_outcome(outcome: "Found", store: Path) -> None:
    """Print the verdict, what each arm reached, and where everything is."""
    from lth.launch.words import for_terminal, table_lines

    for sentence in outcome.verdict["sentences"]:
        print(for_terminal(sentence, sys.stdout))
    print("", *table_lines(outcome.results, sys.stdout), "", sep="\n")
    if outcome.skipped:
        reason = next(iter(outcome.skipped.values()))
        print(f"{len(outcome.skipped)} jobs were left out: {reason}.")
    print(f"Report     {outcome.report}")
    print(f"Results    {outcome.folder / 'results.json'}")
    if tickets := outcome.tickets:
        print(f"Tickets    {outcome.folder / 'tickets'} ({len(tickets)} files)")
    elsewhere = "" if store == Running().store else f" --store {store}"
    print(f"Study      {outcome.id}   (lth show {outcome.id}{elsewhere})")
