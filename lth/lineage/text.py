"""Text that a language model goes on with, token by token."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lth.data import Data, tokenizer_of
from lth.tasks.task import unwrapped


def text_after(
    module: nn.Module,
    data: Data,
    prompt: str,
    num_tokens: int,
    *,
    temperature: float = 0.8,
    top_k: int | None = 200,
    seed: int = 0,
) -> str:
    """Return a prompt and what a network makes of it. The draws are a generator's of their own.

    Args:
        module: (batch, position) -> logits (batch, position, vocabulary); it is put in evaluation mode.
        data: what it was trained on: its tokenizer, and how many tokens it sees.
        prompt: the text that it goes on from.
        num_tokens: how many follow.
        temperature: what logits are divided by; 0 takes the most likely token.
        top_k: draw among so many of the most likely tokens; None among all.
        seed: of the draws.
    Raises:
        ValueError: if the data have no tokenizer, or it has no token for a part of the prompt.
    """
    ids, block = prompt_ids(data, prompt), data.facts["block"]
    with torch.no_grad():
        drawn = list(tokens(module.eval(), ids, block, num_tokens, temperature, top_k, seed))
    return prompt + tokenizer_of(data).decode(torch.tensor(drawn).numpy().astype("uint16"))


def prompt_ids(data: Data, prompt: str) -> Tensor:
    """Return the tokens of a prompt, (position,) int64.

    Raises:
        ValueError: if the data have no tokenizer, or it has no token for a part of the prompt.
    """
    if "block" not in data.facts:
        raise ValueError(f"{data.name!r} is no text: samples are of language models")
    ids = torch.from_numpy(tokenizer_of(data).encode(prompt).astype("int64"))
    if not len(ids):
        raise ValueError("the prompt is empty: give at least one token to go on from")
    return ids


def tokens(
    module: nn.Module, start: Tensor, block: int, count: int, temperature: float, top_k: int | None, seed: int
) -> Iterator[int]:
    """Give tokens that a network draws one after the other.

    Args:
        module: (batch, position) -> logits (batch, position, vocabulary).
        start: what it goes on from, (position,).
        block: most tokens that it sees.
        count: how many.
        temperature: as in `text_after`; so are `top_k` and `seed`.
    """
    generator, seen = torch.Generator().manual_seed(seed), start
    for _ in range(count):
        logits = unwrapped(module(seen[-block:].unsqueeze(0)))[0, -1].float()
        if temperature == 0:
            chosen = logits.argmax()
        else:
            logits = logits / temperature
            if top_k is not None and top_k < len(logits):
                logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
            chosen = torch.multinomial(logits.softmax(-1), 1, generator=generator)[0]
        seen = torch.cat([seen, chosen.view(1)])
        yield int(chosen)
