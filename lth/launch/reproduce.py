"""Published experiments, run here: their numbers beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from lth.analysis.documents import PlotDocument, Results
from lth.analysis.labels import Labels, read_labels
from lth.analysis.points import Plot
from lth.analysis.reproduction import (
    FILE,
    ComparedNumber,
    Reproduction,
    band_words,
    ours_words,
    published_words,
    scale_words,
)
from lth.config import Running, SettingsError, StudySettings, as_settings_error, check_choice
from lth.config.text import last_part
from lth.data import load_data
from lth.launch.foreign_model import foreign_model
from lth.launch.found import Found
from lth.launch.load import load_studies
from lth.launch.partial import allowing_partial, takes_partial
from lth.launch.progress import make_progress
from lth.launch.run import run_study
from lth.lineage import Execution, Store, json_to_bytes, write_file
from lth.report import read_study, write_report
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES, Experiment
from lth.studies.experiments.checklist import CHECKLISTS
from lth.studies.experiments.experiment import comparison
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
    for data in _settings(experiment, 1.0, is_partial=is_partial).data_sets.values():
        try:
            load_data(data, folder)
        except ValueError as error:
            return f"{NO_DATA} ({error})"
    return ""


def _settings(experiment: Experiment, scale: float, *, is_partial: bool) -> StudySettings:
    """Return an experiment's settings; its data sets may lack files where that is allowed, and they can."""
    settings = experiment.settings(scale)
    can_lack = any(map(takes_partial, settings.data_sets.values()))
    return allowing_partial(settings) if is_partial and can_lack else settings


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
    named = EXPERIMENT_GROUPS.get(name) or (name,)
    chosen = tuple(dict.fromkeys(each for one in named if one in EXPERIMENTS for each in with_beside(one))) or named
    is_fixed = model is not None and not all(EXPERIMENTS[each].model for each in chosen)
    if is_fixed or is_measured:
        raise SettingsError(f"--model, --text and --protocol are of {' and '.join(CHECKLISTS)}; {name} trains its own")
    if not 0 < scale <= 1:
        raise SettingsError(f"--scale {scale:g} is no share of the paper's length: give a number above 0, at most 1")
    return chosen


def with_beside(name: str) -> tuple[str, ...]:
    """Return the experiments that one compares with, and itself: the order in which they are run."""
    return (*EXPERIMENTS[name].beside, name)


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
        settings = _settings(experiment, scale, is_partial=is_partial)
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
    for name, other in prepared.subject.others.items():
        if other.data_note:
            return f"other data: those of the {name} are {other.data_note}"
    return ""


def reproduce_experiment(
    name: str,
    prepared: Study,
    scale: float,
    running: Running,
    execution: Execution,
    beside: Mapping[str, Results] | None = None,
    labels: Labels | None = None,
) -> tuple[Found, Reproduction]:
    """Run an experiment at a scale; return what it left, and each published number beside ours.

    The comparison is written to reproduction.json in the report's folder, and stands on the page.

    Args:
        name: of the experiment.
        prepared: its study at the scale.
        scale: share of the paper's length.
        running: where results and reports go.
        execution: how jobs run.
        beside: results of the experiments that it compares with, by name.
        labels: what the study is called.
    """
    experiment, store = EXPERIMENTS[name], Store(running.store)
    progress = make_progress(is_quiet=running.quiet or running.json_, execution=execution, store=store)
    outcome = run_study(prepared, store, execution, progress, running.out, labels=labels)
    other = other_subject(experiment, prepared)
    rows = comparison(experiment, outcome.results, outcome.details, scale, other, beside)
    document = document_of(name, scale, outcome.id, rows)
    for place in (store.study_folder(prepared.id), outcome.folder):
        write_file(place / FILE, json_to_bytes(document))
    kept = read_labels(store.study_folder(prepared.id))
    write_report([read_study(outcome.folder, kept)], outcome.folder)
    return outcome, document


def document_of(name: str, scale: float, study: str, rows: list[ComparedNumber]) -> Reproduction:
    """Return the document of an experiment: its numbers beside ours, and which figures are the paper's.

    Args:
        name: of the experiment.
        scale: at which it ran.
        study: id of our run; empty where it was not run.
        rows: the numbers.
    """
    experiment = EXPERIMENTS[name]
    own = [plot for plot in experiment.figures if isinstance(plot, Plot)]
    return {
        "experiment": name,
        "study": study,
        "words": experiment.words,
        "source": experiment.source,
        "scale": scale,
        "small": experiment.small if scale < 1 else "",
        "bands": experiment.bands,
        "chosen": experiment.chosen,
        "figures": [plot.name if isinstance(plot, Plot) else plot for plot in experiment.figures],
        "figure_words": experiment.figure_words,
        "plots": [cast(PlotDocument, asdict(plot)) for plot in own],
        "rows": rows,
    }


def print_comparison(document: Reproduction) -> None:
    """Print each published number beside ours."""
    print(f"{document['words']}\n{document['source']}, {scale_words(document)}\n")
    for row in document["rows"]:
        value, between = ours_words(row)
        value += f" [{between}]" if between else ""
        published = f"{published_words(row)} ({row['source']}; band {band_words(row)})"
        print(f"  {row['words']}\n    published {published}, ours {value}: {row['verdict']}")
    print()
