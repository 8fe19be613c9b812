"""Published experiments, run here: their numbers beside ours."""

from lth.config import Running, as_settings_error
from lth.launch.found import Found
from lth.launch.load import load_studies
from lth.launch.progress import make_progress
from lth.launch.run import run_study
from lth.lineage import Execution, Store, json_to_bytes, write_file
from lth.studies import STUDIES, Experiment
from lth.studies.experiments.experiment import ComparedNumber, comparison


def reproduce_experiment(
    experiment: Experiment, scale: float, replicates: int | None, running: Running, execution: Execution
) -> tuple[Found, list[ComparedNumber]]:
    """Run an experiment at a scale; return what it left, and each published number beside ours.

    The comparison is written to reproduction.json in the report's folder too.
    """
    settings = experiment.settings(scale)
    if replicates is not None:
        with as_settings_error():
            settings = settings.with_(replicates=replicates)
    [prepared] = load_studies(STUDIES[experiment.study], [settings], running.folder)
    progress = make_progress(is_quiet=running.quiet or running.json_)
    outcome = run_study(prepared, Store(running.store), execution, progress, running.out)
    rows = comparison(experiment, outcome.results, scale)
    write_file(outcome.folder / "reproduction.json", json_to_bytes({"scale": scale, "rows": rows}))
    return outcome, rows


def print_comparison(experiment: Experiment, scale: float, rows: list[ComparedNumber]) -> None:
    """Print each published number beside ours."""
    print(f"{experiment.words}\n{experiment.source}, at {100 * scale:g} % of its length\n")
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
