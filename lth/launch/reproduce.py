"""Published experiments, run here: their numbers beside ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lth.config import Running, SettingsError, as_settings_error, check_choice
from lth.config.text import last_part, with_partial
from lth.data import load_data
from lth.launch.foreign_model import foreign_model
from lth.launch.found import Found
from lth.launch.load import load_studies
from lth.launch.progress import make_progress
from lth.launch.run import run_study
from lth.lineage import Execution, Store, json_to_bytes, write_file
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES, Experiment
from lth.studies.experiments.checklist import CHECKLISTS
from lth.studies.experiments.experiment import ComparedNumber, comparison
from lth.studies.prepare import Study

NO_DATA = "not run: needs the data"


def left_out(
    experiments: Mapping[str, Experiment], folder: Path | None, model: str | None = None, *, is_partial: bool = False
) -> dict[str, str]:
    """Return why experiments of a table are not run, by name; without those that can be.

    Args:
        experiments: by name.
        folder: where data files are.
        model: in place of the paper's.
        is_partial: whether data may lack files.
    """
    reasons, models = dict[str, str](), dict[str, str]()
    for name, experiment in experiments.items():
        reason = experiment.not_run or (
            _lacking_data(experiment, folder, is_partial=is_partial) if experiment.may_lack_data else ""
        )
        if not reason and experiment.model and model is None:
            if experiment.model not in models:  # looked for once
                models[experiment.model] = _lacking_model(experiment.model, folder)
            reason = models[experiment.model]
        if reason:
            reasons[name] = reason
    return reasons


def _lacking_data(experiment: Experiment, folder: Path | None, *, is_partial: bool) -> str:
    data = experiment.settings(1.0).data
    try:
        load_data(with_partial(data) if is_partial else data, folder)
    except ValueError as error:
        return f"{NO_DATA} ({error})"
    return ""


def _lacking_model(name: str, folder: Path | None) -> str:
    try:
        foreign_model(name, folder)
    except ValueError:
        return f"not run: needs {name} (--model FOLDER)"
    return ""


def check_reproduction(name: str, scale: float, model: str | None, *, is_measured: bool) -> tuple[str, ...]:
    """Return the experiments that a name means.

    Args:
        name: of an experiment, or of a table of them.
        scale: share of the paper's length.
        model: in place of the paper's.
        is_measured: whether a text or a protocol is given, to measure a network that others trained.
    Raises:
        SettingsError: if there is none of that name, or something that is given does not go with it.
    """
    with as_settings_error():
        check_choice("experiment", name, [*EXPERIMENTS, *EXPERIMENT_GROUPS, *CHECKLISTS])
    chosen = EXPERIMENT_GROUPS.get(name) or (name,)
    is_fixed = model is not None and not all(EXPERIMENTS[each].model for each in chosen)
    if is_fixed or is_measured:
        raise SettingsError(f"--model, --text and --protocol are of {' and '.join(CHECKLISTS)}; {name} trains its own")
    if not 0 < scale <= 1:
        raise SettingsError(f"--scale {scale:g} is no share of the paper's length: give a number above 0, at most 1")
    return tuple(chosen)


def load_experiments(
    experiments: Sequence[Experiment],
    scale: float,
    replicates: int | None,
    folder: Path | None,
    model: str | None = None,
    *,
    is_partial: bool = False,
) -> list[Study]:
    """Return the studies of some experiments at a scale, ready to plan or run.

    Args:
        experiments: which.
        scale: share of the paper's length.
        replicates: in place of the paper's.
        folder: where data files are.
        model: in place of the paper's.
        is_partial: whether data may lack files.
    Raises:
        SettingsError: if the number of replicates does not fit.
        ValueError: if the data is not at hand.
    """
    studies = []
    changes = {name: value for name, value in (("replicates", replicates), ("model", model)) if value is not None}
    for experiment in experiments:
        settings = experiment.settings(scale)
        with as_settings_error():
            settings = settings.with_(**changes | ({"data": with_partial(settings.data)} if is_partial else {}))
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
