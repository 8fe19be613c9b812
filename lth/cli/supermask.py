"""`lth supermask`: learn masks over weights that are never trained."""

import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lth.cli.options import complete, study_command
from lth.config import Running
from lth.config.supermask import LearnSupermask, supermask_preset

PLAIN_SECONDS = 30.0

LABELS = {
    "sampled": "learned masks, sampled",
    "thresholded": "learned masks, thresholded",
    "random": "random masks, same densities",
    "untrained": "no masks: the untrained network",
}


@partial(study_command, config=LearnSupermask, preset=supermask_preset)
def supermask(settings: list[dict[str, Any]], running: Running) -> int:
    """Learn supermasks: masks that make an untrained network accurate, with a random mask and no mask as controls.

    Defaults shown are those of lenet-300-100 on digits; mnist has a preset of
    its own. What the store already holds is not trained again; after an
    interruption the same command goes on where it was.
    """
    from lth.cli.studies import engine_lines, engines, execution
    from lth.data import load_data
    from lth.launch.supermask import run_supermask_study
    from lth.lineage import Store
    from lth.models import resolve_factory
    from lth.studies.supermask import supermask_study
    from lth.training import Interrupted

    how = execution(running)
    loaded: dict[str, Any] = {}
    found = []
    for each in settings:
        config = complete(each, LearnSupermask, supermask_preset)
        factory = resolve_factory(config.model)
        if config.data not in loaded:
            loaded[config.data] = load_data(config.data, running.folder)
        study = supermask_study(config, factory, loaded[config.data])
        out = running.out / study.id if running.out and len(settings) > 1 else running.out
        trainings = (("supermask", trained) for trained in study.targets)
        progress = Progress(running.quiet or running.json_, engine_lines(engines(trainings, study.sources, how)))
        try:
            one = run_supermask_study(study, Store(running.store), how, progress.attach, out)
        except Interrupted:
            print(
                f"lth: interrupted. Finished trainings and snapshots are kept in {running.store}; the same command "
                "goes on from there",
                file=sys.stderr,
            )
            return 130
        found.append(one.results)
        if not running.json_:
            _print(one.results, one.folder)
    if running.json_:
        print(json.dumps(found if len(settings) > 1 else found[0], indent=1, allow_nan=False))
    return 0


class Progress:
    """One line at the start, one for each finished training, and one every half minute."""

    def __init__(self, is_quiet: bool, notes: Sequence[str] = ()) -> None:
        self._is_quiet, self._notes = is_quiet, notes
        self._steps: dict[str, int] = {}
        self._last = time.monotonic()

    def attach(self, study: Any) -> "Progress":
        """Observes this study."""
        self._replicates = {trained.key: replicate for replicate, trained in enumerate(study.targets)}
        return self

    def planned(self, plan: Any) -> None:
        """Says what there is to do, and first the notes."""
        for line in self._notes if plan.works else ():
            self._say(line)
        self._total = plan.steps
        found = f", {len(plan.done)} found in the store" if plan.done else ""
        self._say(f"{len(plan.works)} trainings to do{found}: {plan.steps:,} steps")

    def started(self, key: str) -> None:
        """Says nothing."""

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Says now and then how it goes."""
        self._steps[key] = step
        if time.monotonic() - self._last > PLAIN_SECONDS:
            shown = "" if accuracy is None else f", validation accuracy {100 * accuracy:.2f} %"
            self._say(f"{100 * sum(self._steps.values()) / max(1, self._total):.0f} % done{shown}")

    def finished(self, key: str) -> None:
        """Says so."""
        self._say(f"replicate {self._replicates[key]} done")

    def skipped(self, key: str, reason: str) -> None:
        """Says what is left out."""
        self._say(f"replicate {self._replicates[key]} left out: {reason}")

    def waiting(self, keys: Sequence[str]) -> None:
        """Says that another process is at work."""
        if time.monotonic() - self._last > PLAIN_SECONDS:
            self._say(f"another process trains what is needed; waiting ({len(keys)} to do)")

    def noted(self, text: str) -> None:
        """Says it."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        if not self._is_quiet:
            print(text, file=sys.stderr, flush=True)


def _print(results: dict[str, Any], folder: Path) -> None:
    config = results["config"]
    print(
        f"{config['model']} on {config['data']}, {config['method']}, {config['replicates']} replicates: test accuracy"
    )
    for kind, label in LABELS.items():
        if results["test_accuracy"][kind] is not None:
            print(f"  {label:32} {_percent(results['test_accuracy'][kind])}")
    if results["diverged"]:
        print(f"{results['diverged']} replicates diverged and have no values: try a lower --lr")
    print(f"Density of the thresholded masks: {_percent(results['density'])}")
    for name, density in results["density_by_tensor"].items():
        print(f"  {name:32} {_percent(density)}")
    print(f"Results    {folder / 'results.json'}")


def _percent(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return "none"
    half = "" if found["low"] is None else f" ± {100 * (found['high'] - found['mean']):.2f}"
    return f"{100 * found['mean']:.2f}{half} %"
