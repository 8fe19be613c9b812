"""Text from a trained language model."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lth.analysis.points import Point
from lth.data import tokenizer_of
from lth.lineage import Reader, Store, Trained
from lth.studies.prepare import Study


def sample_text(
    prepared: Study,
    store: Store,
    prompt: str,
    *,
    arm: str | None = None,
    replicate: int = 0,
    num_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = 200,
    seed: int = 0,
) -> str:
    """Return a prompt and what a trained network of a study makes of it.

    Args:
        prepared: the study.
        store: where its results are.
        prompt: the text that it goes on from.
        arm: whose network, at its last place; by default the first arm's.
        replicate: which one.
        num_tokens: how many follow.
        temperature: what logits are divided by; 0 takes the most likely token.
        top_k: draw among so many of the most likely tokens; None among all.
        seed: of the draws.
    Raises:
        ValueError: if the study's data have no tokenizer, or there is no such network yet.
    """
    data = prepared.sources.data[prepared.subject.data.digest]
    tokenizer = tokenizer_of(data)
    point = _chosen(prepared, store, arm, replicate)
    assert isinstance(point.job, Trained)
    reader = Reader(store, prepared.sources)
    module = reader.module(point.job.model)
    module.load_state_dict(reader.weights(point.job))
    ids = torch.from_numpy(tokenizer.encode(prompt).astype("int64"))
    if not len(ids):
        raise ValueError("the prompt is empty: give at least one token to go on from")
    block = data.facts["block"]
    with torch.no_grad():
        drawn = list(tokens(module.eval(), ids, block, num_tokens, temperature, top_k, seed))
    return prompt + tokenizer.decode(torch.tensor(drawn).numpy().astype("uint16"))


def tokens(
    module: nn.Module, start: Tensor, block: int, count: int, temperature: float, top_k: int | None, seed: int
) -> Iterator[int]:
    """Give tokens that a network draws one after the other.

    Args:
        module: (batch, position) -> logits (batch, position, vocabulary).
        start: what it goes on from, (position,).
        block: most tokens that it sees.
        count: how many.
        temperature: as in `sample_text`; so are `top_k` and `seed`.
    """
    generator, seen = torch.Generator().manual_seed(seed), start
    for _ in range(count):
        logits = module(seen[-block:].unsqueeze(0))[0, -1].float()
        if temperature == 0:
            chosen = logits.argmax()
        else:
            logits = logits / temperature
            if top_k is not None and top_k < len(logits):
                logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
            chosen = torch.multinomial(logits.softmax(-1), 1, generator=generator)[0]
        seen = torch.cat([seen, chosen.view(1)])
        yield int(chosen)


def _chosen(prepared: Study, store: Store, arm: str | None, replicate: int) -> Point:
    """Return the last point of an arm whose training is finished."""
    trained = [point for point in prepared.points if isinstance(point.job, Trained)]
    arms = list(dict.fromkeys(point.arm for point in trained))
    arm = arm or (arms[0] if arms else "")
    fitting = [each for each in trained if each.arm == arm and each.replicate == replicate and store.has(each.job)]
    if not fitting:
        raise ValueError(
            f"the study {prepared.id} has no finished network of arm {arm!r} and replicate {replicate}: its arms are "
            f"{', '.join(arms) or 'none that are trained'}; run the study first"
        )
    return fitting[-1]
