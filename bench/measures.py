"""What measures cost a training, in percent of its processor time: `python -m bench.measures [DATA FOLDER]`."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from lth.config import Training
from lth.data import load_data
from lth.lineage import Reader, Store, Trained
from lth.models import resolve_factory
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import prepare
from lth.training import Measure, Member, TorchEngine, Where

PRESETS = {"shakespeare": 10, "digits": 200}
"""By preset of `lth sparsify`: steps that are timed."""

TURNS = 5


def seconds(what: Callable[[], object]) -> float:
    """The least processor time of a few turns."""
    best = float("inf")
    for _ in range(TURNS):
        began = time.process_time()
        what()
        best = min(best, time.process_time() - began)
    return best


def engine_of(preset: str, folder: Path | None, store: Path) -> TorchEngine:
    """The training of `gradual`, after its masks were made."""
    settings = settings_of(STUDIES["sparsify"], {"preset": preset, "replicates": 1})
    study = prepare(STUDIES["sparsify"], settings, resolve_factory(settings.model), load_data(settings.data, folder))
    job = next(point.job for point in study.points if point.arm == "gradual")
    assert isinstance(job, Trained)
    reader = Reader(Store(store), study.sources)
    member = Member(job.key, reader.weights(job.start), reader.masks(job.masks), job.seeds)
    return TorchEngine([member], reader.module(job.model), reader.parts(job.data), job.training, Where(engine="torch"))


def lines(preset: str, engine: TorchEngine, training: Training) -> Iterator[str]:
    """Each measure's time, and what all of them add to an interval between two evaluations."""
    count = PRESETS[preset]
    step = seconds(lambda: engine.advance(0, count)) / count
    evaluation = seconds(lambda: engine.evaluate("validation"))
    interval = training.evaluate_every * step + evaluation
    gradients = seconds(lambda: engine.measures.keep_gradients(training.evaluate_every - 1))
    every = training.evaluate_every
    costs = {"gradients": gradients}
    running, kept = engine.measures, engine.measures._gradients
    for name, measure in list(running.measures.items()):

        def take(name: str = name, measure: Measure = measure) -> None:
            running.measures, running._gradients = {name: measure}, kept
            running.values(0, every * measure.every)

        costs[name] = seconds(take) / measure.every
    yield f"{preset}: {1e3 * step:.2f} ms a step, {1e3 * evaluation:.0f} ms an evaluation, {every} steps apart"
    for name, cost in costs.items():
        yield f"  {name:16} {1e3 * cost:8.3f} ms an evaluation  {100 * cost / interval:6.3f} %"
    total = sum(costs.values())
    yield f"  all of them      {1e3 * total:8.3f} ms an evaluation  {100 * total / interval:6.3f} %"


def main() -> None:
    """Prints the cost on the two presets."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as store:
        for preset in PRESETS:
            engine = engine_of(preset, folder, Path(store))
            for line in lines(preset, engine, engine.training):
                print(line, flush=True)


if __name__ == "__main__":
    main()
