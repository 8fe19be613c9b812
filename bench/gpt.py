"""A character GPT under masks against a loop as nanoGPT's train.py: tokens a second, one thread, in turns."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cases import Case
from bench.loops import ours
from bench.machine import plain_threads
from bench.ratio import Effort, Row, Way, rates, take_turns, timed
from lth.config import TaskSpec, Training
from lth.data import Windows
from lth.models import Gpt2
from lth.sparsity import select

BATCH, BLOCK, VOCABULARY, TOKENS = 12, 64, 65, 1_003_854
"""Those of nanoGPT's character model for a CPU, and of the tiny Shakespeare."""


def gpt_rows(effort: Effort) -> Iterator[Row]:
    """Tokens a second of the torch engine, of nanoGPT's loop, and of that loop with masks after each step."""
    for density in (1.0, 0.2):
        case = gpt_case(density, effort)
        in_bfloat16 = replace(case, training=case.training.with_(precision="bfloat16"))
        ways = {
            "engine": ours(case, "torch"),
            "engine, bfloat16": ours(in_bfloat16, "torch"),
            "loop": nanogpt_loop(case, masked=False),
        }
        if density < 1:
            ways["loop, masks after steps"] = nanogpt_loop(case, masked=True)
        found = {
            name: tuple(BATCH * BLOCK * rate for rate in rates(times))
            for name, times in take_turns(ways, effort).items()
        }
        for ours_name, theirs in itertools.product(list(ways)[:2], list(ways)[2:]):
            what = f"GPT 128, {100 * density:.0f} % kept: torch {ours_name} / nanoGPT's {theirs}"
            yield Row(what, "tokens/s", found[ours_name], found[theirs], goal="1.4x")


def gpt_case(density: float, effort: Effort, vocabulary: int = VOCABULARY) -> Case:
    """The network on random tokens, masked by magnitude."""
    size = {"n_layer": 1, "n_head": 2, "n_embd": 16} if effort.is_tiny else {"n_layer": 4, "n_head": 4, "n_embd": 128}
    make = partial(Gpt2, vocabulary, BLOCK, bias=False, pad_to=1, **size)  # type: ignore[arg-type]
    torch.manual_seed(0)
    start = make().state_dict()
    masks = {}
    if density < 1:
        weights = {key: value for key, value in start.items() if value.ndim > 1 and key.startswith("h.")}
        masks = select(weights, {}, density=density, key=torch.abs)
        start = {key: value * masks[key] if key in masks else value.clone() for key, value in start.items()}
    stream = (
        np.random.default_rng(0).integers(0, vocabulary, TOKENS // (100 if effort.is_tiny else 1)).astype(np.uint16)
    )
    windows = Windows(stream, BLOCK)
    training = Training(
        task=TaskSpec(name="language-model", arguments={"vocabulary": vocabulary}),
        steps=10**6, batch_size=BATCH, lr=1e-3, optimizer="adamw", optimizer_options={"betas": (0.9, 0.99)},
        weight_decay=0.1, no_decay=("vectors",), lr_decay="cosine", final_lr=1e-4, warmup=100, clip=1.0,
    )  # fmt: skip
    return Case("GPT", make, start, masks, {"train": windows, "validation": windows, "test": windows}, training)


def nanogpt_loop(case: Case, *, masked: bool) -> Way:
    """Windows at random places, AdamW as it comes, the gradient's norm clipped, the loss read every ten steps."""
    module, stream = case.module(), case.parts["train"].tokens  # type: ignore[attr-defined]
    matrices = [value for value in module.parameters() if value.ndim >= 2]
    vectors = [value for value in module.parameters() if value.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=case.training.lr, betas=(0.9, 0.99))
    factors = [(module.get_parameter(name), mask.float()) for name, mask in case.masks.items()] if masked else []
    done = 0

    def step() -> None:
        nonlocal done
        for group in optimizer.param_groups:
            group["lr"] = case.training.lr_at(done)
        x, y = _random_windows(stream)
        loss = F.cross_entropy(module(x).flatten(0, 1), y.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for parameter, factor in factors:
                parameter.mul_(factor)
        if done % 10 == 0:
            loss.item()
        done += 1

    def way(steps: int) -> float:
        with plain_threads(1):
            return timed(lambda: [step() for _ in range(steps)], time.process_time)

    return way


def _random_windows(stream: "np.ndarray[tuple[int], np.dtype[np.uint16]]") -> tuple[Tensor, Tensor]:
    places = torch.randint(len(stream) - BLOCK, (BATCH,))
    x = torch.stack([torch.from_numpy(stream[at : at + BLOCK].astype(np.int64)) for at in places])
    y = torch.stack([torch.from_numpy(stream[at + 1 : at + 1 + BLOCK].astype(np.int64)) for at in places])
    return x, y
