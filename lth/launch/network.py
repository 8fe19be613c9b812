"""A network of a study: of a finished training, or of the newest snapshot of one that goes on."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lth.analysis.points import Point, place_words
from lth.lineage import Reader, Store, Trained
from lth.lineage.foreign import save_gpt2
from lth.lineage.journal import snapshot_paths
from lth.lineage.reader import tied
from lth.models import Gpt2
from lth.sparsity import State
from lth.studies.prepare import Study
from lth.training import snapshot_from_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network of a study.

    Attributes:
        module: with its weights.
        words: whose it is: `step 750, dense, replicate 0`.
        is_finished: whether its training is.
    """

    module: nn.Module
    words: str
    is_finished: bool


def network_of(prepared: Study, store: Store, arm: str | None = None, replicate: int = 0) -> Network:
    """Return the network of an arm at the last place where its training is finished, or else begun.

    Args:
        prepared: the study.
        store: where its results are.
        arm: by default the first.
        replicate: which one.
    Raises:
        ValueError: if there is no such network yet.
    """
    reader = Reader(store, prepared.sources)
    point, step, state = _weights(prepared, reader, arm, replicate)
    assert isinstance(point.job, Trained)
    module = reader.module(point.job.model)
    module.load_state_dict(state)
    return Network(module, f"step {step:,}, {point_words(point)}", step == point.job.training.steps)


def save_for_transformers(network: Network, folder: Path) -> None:
    """Write a GPT-2 as a folder that `transformers` loads.

    Raises:
        ValueError: if it is none, or has what GPT-2 as published has not.
    """
    if not isinstance(network.module, Gpt2):
        kind = type(network.module).__name__
        raise ValueError(f"a {kind} is no GPT-2: only gpt2, gpt-char and their like can be saved so")
    save_gpt2(network.module, folder)


def point_words(point: Point) -> str:
    """Return whose network it is: `ticket, level 3, replicate 0`."""
    return place_words(point.arm, point.at, point.replicate)


def _weights(prepared: Study, reader: Reader, arm: str | None, replicate: int) -> tuple[Point, int, State]:
    """Return the last point of an arm whose training is finished, or else begun, with its steps and its weights."""
    trained = [point for point in prepared.points if isinstance(point.job, Trained)]
    arms = list(dict.fromkeys(point.arm for point in trained))
    arm = arm or (arms[0] if arms else "")
    fitting = [each for each in trained if each.arm == arm and each.replicate == replicate]
    for point in reversed(fitting):
        assert isinstance(point.job, Trained)
        if reader.store.has(point.job):
            return point, point.job.training.steps, reader.weights(point.job)
    for point in reversed(fitting):
        found = _begun(point, reader)
        if found is not None:
            return point, *found
    raise ValueError(
        f"the study {prepared.id} has no network of arm {arm!r} and replicate {replicate}, finished or begun: its arms "
        f"are {', '.join(arms) or 'none that are trained'}; run the study first"
    )


def _begun(point: Point, reader: Reader) -> tuple[int, State] | None:
    """Return the step and the weights in the newest snapshot of a training; None if it has none."""
    job = point.job
    assert isinstance(job, Trained)
    for path in snapshot_paths(reader.store, job.key):
        try:
            snapshot = snapshot_from_bytes(path.read_bytes(), str(path))
        except FileNotFoundError:
            continue
        return snapshot.step, tied(snapshot.part("state"), reader.skeleton(job.model))
    return None
