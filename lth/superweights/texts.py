"""Perplexity of texts by a named protocol, block by block."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lth.config import SettingsError
from lth.data import Data, Examples
from lth.superweights.protocol import Ids, Protocol
from lth.tasks.task import unwrapped
from lth.tasks.token_targets import IGNORED

Decode = Callable[[Sequence[int]], str]

AT_ONCE = 256
"""Positions whose losses are taken at once: a vocabulary may have 256,000 tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A text under a protocol, ready to be scored.

    Attributes:
        data: one part, `test`; facts: block, vocabulary, and bytes_per_token where a decoder is known.
        facts: for documents: text, digest of the text, protocol, join, tokens, blocks, BOS, bytes a token.
        words: those in a line.
    """

    data: Data
    facts: dict[str, str | int | float | None]
    words: str

    @property
    def examples(self) -> Examples:
        """What is scored."""
        return self.data.parts["test"]


def passage(
    name: str,
    ids: Ids,
    protocol: Protocol,
    *,
    vocabulary: int,
    text_digest: str,
    bos: int | None = None,
    decode: Decode | None = None,
) -> Passage:
    """Return some tokens under a protocol.

    Args:
        name: of the text, for people.
        ids: its tokens, as `Protocol.ids` gives them, (token,).
        protocol: which of them are scored.
        vocabulary: number of different tokens.
        text_digest: SHA-256, in hex, of the file.
        bos: the model's BOS token.
        decode: tokens to text: bytes of what is scored are counted, for bits per byte.
    Raises:
        SettingsError: if the tokens do not fit the protocol or the vocabulary.
    """
    if len(wrong := ids[(ids < 0) | (ids >= vocabulary)]):
        raise SettingsError(f"token {int(wrong[0])} is none of this model: ids are 0 to {vocabulary - 1}")
    examples = protocol.examples(ids, bos)
    x, y = examples.tensors["x"], examples.tensors["y"]
    tokens = int((y != IGNORED).sum())
    bytes_per_token = None if decode is None else bytes_scored(x, y, decode) / tokens
    data_facts: dict[str, Any] = {"vocabulary": vocabulary, "block": x.shape[1]}
    if bytes_per_token is not None:
        data_facts["bytes_per_token"] = bytes_per_token
    facts: dict[str, str | int | float | None] = {
        "text": name,
        "text_digest": text_digest,
        "protocol": protocol.name,
        "join": protocol.join,
        "first_tokens": protocol.tokens,
        "tokens": tokens,
        "context": protocol.context,
        "stride": protocol.stride,
        "blocks": len(x),
        "bos": bos if protocol.bos else None,
        "bytes_per_token": bytes_per_token,
        "digest": examples.digest,
    }
    words = f"{name} (SHA-256 {text_digest[:12]}), {protocol.words(tokens, len(x))}"
    return Passage(Data(name, {"test": examples}, data_facts, "language-model"), facts, words)


def bytes_scored(x: Tensor, y: Tensor, decode: Decode) -> int:
    """Return the UTF-8 bytes of the text of the scored tokens: of each block with, less without them.

    A character that a block cuts counts as what a decoder puts in its place.
    """
    total = 0
    for tokens, targets in zip(x, y, strict=True):
        places = (targets != IGNORED).nonzero().flatten()
        if not len(places):
            continue
        first, last = int(places[0]), int(places[-1])
        known, scored = tokens[: first + 1].tolist(), targets[first : last + 1].tolist()
        total += len(decode(known + scored).encode()) - len(decode(known).encode())
    return total


@torch.no_grad()
def block_losses(
    module: nn.Module,
    examples: Examples,
    device: torch.device | str = "cpu",
    see: Callable[[int, Tensor, Tensor], None] | None = None,
    before: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cross-entropy of each block in nats, summed over its scored tokens, (block,), and their number.

    Blocks go through the network one by one, so that numbers do not depend on the size of a batch.

    Args:
        module: (1, context) token ids -> logits (1, context, vocabulary), in evaluation mode.
        examples: of a Protocol.
        device: where it is.
        see: called with block, logits (position, vocabulary) in float32 and targets (position,), where a target
            counts; some positions at a time.
        before: called with the number of a block before it runs.
    Raises:
        ValueError: if the network gives no logits for each position.
    """
    nats, counts = np.zeros(len(examples)), np.zeros(len(examples), dtype=np.int64)
    for block in range(len(examples)):
        if before is not None:
            before(block)
        batch = examples.take(torch.tensor([block]), torch.device(device))
        logits, targets = unwrapped(module(batch["x"])), batch["y"][0]
        if logits.ndim != 3 or logits.shape[:2] != batch["x"].shape:
            raise ValueError(
                f"the network gives {tuple(logits.shape)}; logits for each token are needed: no perplexity"
            )
        scored = (targets != IGNORED).nonzero().flatten()
        for places in torch.split(scored, AT_ONCE):
            some, wanted = logits[0, places].float(), targets[places]
            nats[block] += float(F.cross_entropy(some, wanted, reduction="none").double().sum())
            if see is not None:
                see(block, some, wanted)
        counts[block] = len(scored)
    return nats, counts


def perplexity_of(
    nats: NDArray[np.float64], tokens: NDArray[np.int64], bytes_per_token: float | None = None
) -> dict[str, float]:
    """Return loss (nats a token), perplexity and, where bytes are known, bits per byte, over all blocks."""
    loss = float(nats.sum() / max(1, tokens.sum()))
    values = {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}
    return values if bytes_per_token is None else values | {"bits_per_byte": loss / math.log(2) / bytes_per_token}
