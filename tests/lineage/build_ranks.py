"""A script that ranks run together: `RANK=0 WORLD_SIZE=2 ... python build_ranks.py STORE [STOP_AT] [--shard]`.

It trains a dense network and one ticket of each of two models; the first rank dies at step STOP_AT, if one is given.
"""

import os
import signal
import sys
from pathlib import Path

import builds
import torch

from lth.config import Pruning, TaskSpec, Training
from lth.data import Arrays, Data
from lth.lineage import (
    Combined,
    DataSpec,
    Dense,
    Evaluated,
    Execution,
    Initial,
    Job,
    Pruned,
    Reader,
    Sources,
    Store,
    Trained,
    Zeros,
    build,
)
from lth.lineage.executors import follow
from lth.models import MODELS, describe
from lth.training import Seeds
from lth.training.ranks import join

STEPS = 30

ARGUMENTS = [each for each in sys.argv[1:] if each != "--shard"]


def data() -> Data:
    """Token windows that follow one another, some of them padded, so that not every batch counts alike."""
    x = torch.arange(90 * 7).reshape(90, 7) * 3 % 11
    y = (x + 3) % 11
    y[::3, 4:] = -100
    parts = {"train": Arrays({"x": x[:60], "y": y[:60]}), "test": Arrays({"x": x[60:], "y": y[60:]})}
    return Data("windows", parts, {"vocabulary": 11, "block": 7}, "language-model")


def jobs() -> tuple[list[Job], Sources]:
    """A dense network, its ticket at 50 %, and a measurement that one rank does alone."""
    tokens = data()
    arguments = {"n_layer": 1, "n_head": 2, "n_embd": 8}
    model = describe("gpt-char", MODELS["gpt-char"].make, tokens.facts, arguments=arguments)
    task = TaskSpec(name="language-model", arguments={"vocabulary": 11})
    training = Training(
        task=task, steps=STEPS, batch_size=10, lr=0.01, optimizer="adamw", weight_decay=0.1, clip=0.5, evaluate_every=10
    )
    spec, seeds = DataSpec(digest=tokens.digest, validation=10), Seeds(init=1, order=2, augmentation=3)
    initial = Initial(spec=model, seed=1)
    dense = Trained(start=initial, masks=Dense(), data=spec, training=training, seeds=seeds)
    masks = Pruned.after(dense, Pruning(rate=0.5), 1)
    start = Combined(masks=masks, kept=initial, pruned=Zeros(like=initial))
    ticket = Trained(start=start, masks=masks, data=spec, training=training, seeds=seeds)
    measured = Evaluated(weights=(dense, ticket), data=spec, task=task)
    return [ticket, measured], Sources(data={tokens.digest: tokens})


class Dying(builds.Notes):
    """Kills its own process at a step."""

    def progress(self, key: str, step: int, values: object) -> None:
        """Look at the step."""
        if ARGUMENTS[1:] and step >= int(ARGUMENTS[1]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    targets, sources = jobs()
    ranks, store = join("cpu"), Store(Path(ARGUMENTS[0]))
    execution = Execution(
        workers=0,
        ranks=ranks,
        snapshot_seconds=0.0,
        micro_batch=3,
        engine="torch",
        sharded="--shard" in sys.argv,
    )
    if ranks.is_first:
        build(targets, store, sources, execution, Dying())
    else:
        follow(Reader(store, sources), execution.where)
    if ranks.size > 1:
        torch.distributed.destroy_process_group()
