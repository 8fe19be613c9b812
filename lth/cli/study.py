"""The commands of studies: each entry of STUDIES runs, plans and reproduces by the same code."""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lth.cli.checklist import run_checklist
from lth.cli.errors import CommandError, UsageError, settings_as_usage
from lth.cli.experiments import experiment_lines
from lth.cli.options import Flag, Several
from lth.cli.sample import as_prompt
from lth.cli.stored import store_option
from lth.cli.typed import labels_of
from lth.config import Running, StudySettings, as_settings_error
from lth.config.stopping import exit_code, stopped_by
from lth.config.text import split_each
from lth.studies import EXPERIMENTS, StudyType
from lth.studies.experiments.checklist import CHECKLISTS

if TYPE_CHECKING:
    from lth.analysis.reproduction import Reproduction
    from lth.launch import Found
    from lth.lineage import Execution, Store
    from lth.studies.prepare import Study


def run(study: StudyType[Any], settings: Sequence[StudySettings], running: Running) -> int:
    """Run each study that is asked for; a sweep ends in a comparison."""
    from lth.launch import load_studies

    return run_studies(load_studies(study, settings, running.folder), running, preset_names(study, settings))


def run_studies(studies: "Sequence[Study]", running: Running, names: Sequence[str] = ()) -> int:
    """Run studies that are ready; several end in a comparison.

    Args:
        studies: in order.
        running: where they run.
        names: of each, in the comparison.
    """
    from lth.cli.announced import Announced
    from lth.launch import check_sample, default_out, follow_study, run_study
    from lth.launch.labels import check_names
    from lth.launch.progress import make_progress
    from lth.lineage import Store
    from lth.training import Interrupted

    execution = execution_of(running, over_ranks=True)
    if execution.ranks.size > 1 and any(each.subject.training.function for each in studies):
        raise CommandError(
            "your own training function (--train) runs in one process: start it without torchrun or srun"
        )
    if not execution.ranks.is_first:
        finished = (follow_study(prepared, Store(running.store), execution) for prepared in studies)
        return 0 if all(finished) else exit_code(is_one_of_several=True)
    for prepared in studies:
        check_sample(prepared, execution)
    store, labels = Store(running.store), labels_of(running, len(studies))
    check_names(studies, labels, store)
    # All are looked at before the first is run: one that cannot be trained as asked is said at once.
    notes = [
        [*start_lines(prepared), *engine_lines(prepared, execution, store), *batch_lines(prepared, execution)]
        for prepared in studies
    ]
    is_sweep, results = len(studies) > 1, list["Found"]()
    for number, (prepared, lines) in enumerate(zip(studies, notes, strict=True), 1):
        out = running.out / prepared.id if running.out and is_sweep else running.out
        if is_sweep and not running.quiet:
            print(f"study {number} of {len(studies)}: {prepared.id}", file=sys.stderr)
        is_quiet = running.quiet or running.json_
        progress = make_progress(is_quiet=is_quiet, notes=lines, execution=execution, store=store)
        try:
            announcer = None if running.json_ else Announced(running.store)
            results.append(run_study(prepared, store, execution, progress, out, announcer, labels[number - 1]))
        except Interrupted:
            return stopped(running.store, prepared.id, is_one_of_several=execution.ranks.size > 1)
        if announcer is not None:
            announcer.finished(results[-1])
    if is_sweep:
        path = write_comparison(results, running.out or default_out(studies[0]).parent, names)
        if not running.json_:
            print(f"Comparison {path}")
    if running.json_:
        documents = [each.results for each in results]
        print(json.dumps(documents if is_sweep else documents[0], indent=1, allow_nan=False))
    return 0


def stopped(store: Path, study: str = "", *, is_one_of_several: bool = False) -> int:
    """Say that a build was stopped, by what, and how the study of this ID goes on; return the exit code."""
    number = stopped_by()
    by = "" if number in (None, signal.SIGINT) else f" by {number.name}"
    from lth.launch.words import for_terminal

    resumed = f" (so does `lth resume {study}{store_option(store)}`)" if study else ""
    said = f"lth: interrupted{by}. Finished work and snapshots are kept in {store}; the same command goes on from there"
    print(for_terminal(f"{said}{resumed}", sys.stderr), file=sys.stderr)
    return exit_code(is_one_of_several=is_one_of_several)


def plan(study: StudyType[Any], settings: Sequence[StudySettings], running: Running) -> int:
    """Show what a study would do: what is done already, steps, time. Nothing is kept."""
    from lth.launch import load_studies

    studies = load_studies(study, settings, running.folder)
    show_plan(studies, preset_names(study, settings) or [prepared.id for prepared in studies], running)
    return 0


def show_plan(studies: "Sequence[Study]", names: Sequence[str], running: Running) -> None:
    """Print what each study would do, and of several what they have in common."""
    from lth.launch.plan import plan_documents, print_plan, print_together
    from lth.lineage import Store

    documents = plan_documents(studies, Store(running.store), execution_of(running))
    if running.json_:
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=1))
        return
    for document in documents:
        print_plan(document)
    if len(studies) > 1:
        print_together(studies, documents, names)


def preset_names(study: StudyType[Any], settings: Sequence[StudySettings]) -> list[str]:
    """Return the names of several presets that are run together as they stand; none where it is another sweep."""
    for group in study.groups.values():
        if [study.presets[name]().flat() for name in group] == [each.flat() for each in settings]:
            return list(group)
    return []


def write_comparison(results: "Sequence[Found]", folder: Path, names: Sequence[str]) -> Path:
    """Write the page of several studies side by side; return its path."""
    from lth.report import read_study, write_report

    ids = hashlib.sha256("".join(each.id for each in results).encode()).hexdigest()[:8]
    return write_report([read_study(each.folder) for each in results], folder / f"comparison-{ids}", names)


def reproduce(
    experiment: str | None = None,
    folder: Path | None = None,
    /,
    *,
    scale: float = 1.0,
    replicates: int | None = None,
    plan: Flag = False,
    list_: Flag = False,
    allow_partial: Flag = False,
    store: Path = Path("lth-store"),
    out: Path | None = None,
    name: str | None = None,
    tag: Several = None,
    workers: int | None = None,
    model: str | None = None,
    text: str | None = None,
    protocol: str | None = None,
    tokens: int | None = None,
    join: Literal["file", "rows"] = "file",
    track: Several = None,
    quiet: Flag = False,
    json_: Flag = False,
) -> int:
    """Run a published experiment and put its numbers beside ours, with a verdict for each. Without a name: list them.

        lth reproduce frankle-carbin-fig4 ./datasets --scale 0.1 --replicates 3
        lth reproduce zhou-actions ./datasets --scale 0.02   # several, compared
        lth reproduce lwh-table ./datasets --scale 0.02 --plan   # what they share
        lth reproduce bert-tickets ./datasets --model ./bert --plan   # BERT on GLUE
        lth reproduce super-weights --model gpt2=./weights   # published weights

    Args:
        experiment: one by name, or a table of several; `super-weights` and `super-rows` list numbers of networks that
            others trained, and measure one that is at hand.
        folder: folder of data files; missing ones are downloaded into it.
        scale: share of the paper's training length, as 0.1; numbers that need the full length say so.
        replicates: networks with seeds of their own [default: the paper's].
        plan: show what would be done instead of doing it.
        list_: list all experiments, with the data that they need and what they take; so does no name.
        allow_partial: use a data set some of whose files are missing; results say so.
        store: folder of results.
        out: folder of the report; of a table, of all its reports.
        name: what the study is called in the store; those of a table NAME-1, NAME-2, and so on.
        tag: a word that `lth ls --tag` finds it by; several with commas, or the option several times.
        workers: one-thread worker processes [default: one per core].
        model: where the network lies: a folder or hub:OWNER/NAME; of super-weights also FILE.gguf, or MODEL=FOLDER
            where the name does not tell [default of bert-tickets: bert-base-uncased].
        text: what its loss is measured on: a file, or wikitext-2 (its raw test part) [default: wikitext-2].
        protocol: blocks:512, sliding:2048:512 or lines:512x100 [default: blocks of 512 tokens].
        tokens: only so many of the text's first tokens; 0 takes all [default: 20,480, or all that --protocol says where
            it is given].
        join: file, the text as it stands; rows, its lines joined by two newlines, as most published numbers have it.
        track: tell trackers what trainings measure, as `lth find-ticket --track` does.
        quiet: show no progress.
        json_: print JSON.
    """
    if experiment is None or list_:
        print(*experiment_lines(), sep="\n")
        return 0
    with settings_as_usage():
        with as_settings_error():
            tags, trackers = split_each(tag or ()), split_each(track or ())
            running = Running(
                folder=folder, store=store, out=out, name=name, tag=tags, workers=workers, track=trackers, json=json_,
                quiet=quiet,
            )  # fmt: skip
        if experiment in CHECKLISTS:
            if scale != 1 or replicates is not None or plan or out is not None or name is not None or tag:
                options = "--scale, --replicates, --plan, --out, --name and --tag"
                raise UsageError(f"{experiment} trains nothing: leave out {options}")
            return run_checklist(
                experiment, running, model=model, text=text, protocol=protocol, tokens=tokens, join=join
            )
    from lth.launch.reproduce import check_reproduction, left_out, load_experiments

    with settings_as_usage():
        chosen = check_reproduction(experiment, scale, model, is_measured=text is not None or protocol is not None)
    missing = left_out({each: EXPERIMENTS[each] for each in chosen}, running.folder, model, is_partial=allow_partial)
    ready = [each for each in chosen if each not in missing]
    with settings_as_usage():
        studies = load_experiments(
            [EXPERIMENTS[each] for each in ready],
            scale,
            replicates,
            running.folder,
            model,
            is_partial=allow_partial,
        )
    if plan:
        if studies:
            show_plan(studies, ready, running)
        if missing and not json_:
            print(*(f"{each}: {reason}" for each, reason in missing.items()), sep="\n")
        return 0
    from lth.training import Interrupted

    try:
        _reproduce(ready, studies, scale, running, missing)
    except Interrupted:
        return stopped(running.store)
    return 0


def _reproduce(
    names: Sequence[str], studies: "Sequence[Study]", scale: float, running: Running, missing: Mapping[str, str]
) -> None:
    """Run experiments one after the other and print their numbers; several end in a comparison."""
    from lth.launch import default_out
    from lth.launch.labels import check_names
    from lth.launch.reproduce import document_of, print_comparison, reproduce_experiment
    from lth.lineage import Store
    from lth.studies.experiments.experiment import not_run

    documents, outcomes, is_table = list["Reproduction"](), dict[str, "Found"](), len(names) > 1
    labels = labels_of(running, len(studies))
    with settings_as_usage():
        check_names(studies, labels, Store(running.store))
    for name, prepared, called in zip(names, studies, labels, strict=True):
        out = running.out / name if running.out and is_table else running.out
        place = running.model_copy(update={"out": out})
        beside = {each: outcomes[each].results for each in EXPERIMENTS[name].beside if each in outcomes}
        execution = execution_of(running)
        outcomes[name], document = reproduce_experiment(name, prepared, scale, place, execution, beside, called)
        documents.append(document)
        if not running.json_:
            print_comparison(document)
            print(f"Report     {outcomes[name].report}", end="\n\n" if is_table else "\n")
    for name, reason in missing.items():
        documents.append(document_of(name, scale, "", not_run(EXPERIMENTS[name], reason)))
        if not running.json_:
            print_comparison(documents[-1])
    if is_table:
        folder = running.out or default_out(studies[0]).parent
        path = write_comparison(list(outcomes.values()), folder, names)
        if not running.json_:
            print(f"Comparison {path}")
    if running.json_:
        print(json.dumps(documents if len(documents) > 1 else documents[0], indent=1))


def execution_of(running: Running, *, over_ranks: bool = False) -> "Execution":
    """Return how jobs run here.

    Args:
        running: what the user asks for.
        over_ranks: whether the command can train over the processes that were started with this one.
    Raises:
        CommandError: if a GPU is asked for and there is none, or the command runs in one process alone.
    """
    import torch

    from lth.lineage import Execution
    from lth.training.ranks import ALONE, join, ranks_of

    if not over_ranks and ranks_of(os.environ).size > 1:
        raise CommandError("this command runs in one process: start it without torchrun or srun")
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
        sharded=running.shard,
        ranks=join(running.device) if over_ranks else ALONE,
        sample=None if running.sample is None else as_prompt(running.sample),
        energy=running.energy,
        track=running.track,
        **workers,
    )


def start_lines(prepared: "Study") -> list[str]:
    """Return what of pre-trained weights' head is drawn anew, kept or passed over, a line each."""
    return [f"start: {line}" for line in prepared.subject.head_words]


def batch_lines(prepared: "Study", execution: "Execution") -> list[str]:
    """Return how a step's batch is cut, in a line, where it is cut at all."""
    size, ranks = prepared.subject.training.batch_size, execution.ranks.size
    share = -(-size // ranks)
    passes = -(-share // min(execution.micro_batch or share, share))
    if ranks == passes == 1:
        return []
    tokens = prepared.subject.clock.tokens_per_step
    whole = f"{size:,} examples" + (f", {tokens:,} tokens" if tokens else "")
    cut = [f"{ranks} processes"] if ranks > 1 else []
    cut += [f"{passes} passes of at most {execution.micro_batch:,} examples"] if passes > 1 else []
    return [f"batch: {whole}: {' x '.join(cut)}"]


def engine_lines(prepared: "Study", execution: "Execution", store: "Store") -> list[str]:
    """Return which engine trains what, and why, a line per engine; none where all is trained."""
    from lth.launch.plan import engines_of

    if all(map(store.has, prepared.targets)):
        return []
    rows = engines_of(prepared, execution)
    parts = [f" for {', '.join(row['arms'])}" if len(rows) > 1 else "" for row in rows]
    return [f"engine: {row['engine']}{part} ({row['reason']})" for row, part in zip(rows, parts, strict=True)]
