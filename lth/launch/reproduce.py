"""Published experiments, run here: their numbers beside ours."""

from collections.abc import Sequence
from pathlib import Path

from lth.config import Running, as_settings_error
from lth.config.text import last_part
from lth.data import load_data
from lth.launch.found import Found
from lth.launch.load import load_studies
from lth.launch.progress import make_progress
from lth.launch.run import run_study
from lth.lineage import Execution, Store, json_to_bytes, write_file
from lth.studies import STUDIES, Experiment
from lth.studies.experiments.experiment import ComparedNumber, comparison
from lth.studies.prepare import Study

NO_DATA = "not run: needs the data"


def left_out(experiment: Experiment, folder: Path | None) -> str:
    """Return why an experiment of a table is not run; empty where it can be."""
    if experiment.not_run or not experiment.may_lack_data:
        return experiment.not_run
    try:
        load_data(experiment.settings(1.0).data, folder)
    except ValueError as error:
        return f"{NO_DATA} ({error})"
    return ""


def load_experiments(
    experiments: Sequence[Experiment],
    scale: float,
    replicates: int | None,
    folder: Path | None,
    model: str | None = None,
) -> list[Study]:
    """Return the studies of some experiments at a scale, ready to plan or run.

    Args:
        experiments: which.
        scale: share of the paper's length.
        replicates: in place of the paper's.
        folder: where data files are.
        model: in place of the paper's.
    Raises:
        SettingsError: if the number of replicates does not fit.
        ValueError: if the data is not at hand.
    """
    studies = []
    changes = {name: value for name, value in (("replicates", replicates), ("model", model)) if value is not None}
    for experiment in experiments:
        settings = experiment.settings(scale)
        with as_settings_error():
            settings = settings.with_(**changes)
        studies += load_studies(STUDIES[experiment.study], [settings], folder)
    return studies


def other_subject(experiment: Experiment, prepared: Study) -> str:
    """Return what makes our numbers those of something else than the paper's: another model, other data."""
    model = prepared.settings.model
    if experiment.model and model != experiment.model:
        return f"another model: {last_part(model)}; published numbers are of {experiment.model}"
    parts = prepared.sources.data[prepared.subject.data.digest].parts
    found = (len(parts["train"]), len(parts["test"]))
    if experiment.data_rows not in ((0, 0), found):
        (train, test), (theirs, dev) = found, experiment.data_rows
        return f"other data: {train:,} and {test:,} rows, not the published split of {theirs:,} and {dev:,}"
    return ""


def reproduce_experiment(
    experiment: Experiment, prepared: Study, scale: float, running: Running, execution: Execution
) -> tuple[Found, list[ComparedNumber]]:
    """Run an experiment at a scale; return what it left, and each published number beside ours.

    The comparison is written to reproduction.json in the report's folder too.
    """
    progress = make_progress(is_quiet=running.quiet or running.json_)
    outcome = run_study(prepared, Store(running.store), execution, progress, running.out)
    other = other_subject(experiment, prepared)
    rows = comparison(experiment, outcome.results, outcome.details, scale, other)
    document = {"scale": scale, "small": small_words(experiment, scale), "rows": rows}
    write_file(outcome.folder / "reproduction.json", json_to_bytes(document))
    return outcome, rows


def small_words(experiment: Experiment, scale: float) -> str:
    """Return what stands in place of what at a scale; empty at full scale."""
    return experiment.small if scale < 1 else ""


def print_comparison(experiment: Experiment, scale: float, rows: list[ComparedNumber]) -> None:
    """Print each published number beside ours."""
    print(f"{experiment.words}\n{experiment.source}, at {100 * scale:g} % of its length")
    if small := small_words(experiment, scale):
        print(f"Below full scale: {small}")
    print()
    for row in rows:
        ours, digits = row["ours"], row["digits"]
        value = "not measured"
        if ours is not None and ours["mean"] is not None:
            value = f"{ours['mean']:.{digits}f}"
            if ours["low"] is not None:
                value += f" [{ours['low']:.{digits}f}, {ours['high']:.{digits}f}]"
        low, high = row["band"]
        published = f"{row['published']:g} ({row['source']}; band {low:g} to {high:g})"
        print(f"  {row['words']}\n    published {published}, ours {value}: {row['verdict']}")
    print()
