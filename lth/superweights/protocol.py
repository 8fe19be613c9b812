"""Protocols of perplexity: which tokens of a text are scored, each with which others before it."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lth.config import SettingsError
from lth.data import Arrays, seeded_generator
from lth.tasks.token_targets import IGNORED

Ids = NDArray[np.int64]
Encode = Callable[[str], Sequence[int]]

FORMS = "blocks:CONTEXT, sliding:CONTEXT:STRIDE or lines:CONTEXTxBLOCKS, as blocks:512, sliding:2048:512, lines:512x100"


class Protocol(BaseModel):
    """Which tokens of a text are scored, and what each is predicted from.

    `blocks:512` cuts the tokens into blocks of 512 without overlap; what does not fill a last block is dropped, as is
    usual since GPTQ (Frantar et al. 2022), and the first token of a block is context only, unless a BOS token stands
    before it. `sliding:2048:512` moves a window of 2,048 tokens by 512; each token is scored once, in the first window
    that holds it, and a last, shorter window is scored too; the very first token has nothing before it. `lines:512x100`
    shuffles the lines of the text that are not empty, and joins as many as fill 100 blocks of 512.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["blocks", "sliding", "lines"]
    context: int = Field(ge=2, description="tokens that the network sees at once")
    stride: int | None = Field(default=None, ge=1, description="of a sliding window")
    blocks: int | None = Field(default=None, ge=1, description="of shuffled lines: how many")
    tokens: int | None = Field(default=None, ge=2, description="only so many of the text's first tokens")
    bos: bool = Field(default=False, description="whether the BOS token stands before each block")
    join: Literal["file", "rows"] = Field(
        default="file", description="the text as it stands, or its lines, with empty ones, joined by two newlines"
    )
    seed: int = Field(default=0, description="of the order of shuffled lines")

    @classmethod
    def parse(cls, text: str, **fields: Any) -> "Protocol":
        """Return the protocol of a name; `tokens`, `bos`, `join` and `seed` come as fields.

        Raises:
            SettingsError: if the name is of no known form.
        """
        if match := re.fullmatch(r"blocks:(\d+)", text):
            parts: dict[str, Any] = {"kind": "blocks", "context": int(match[1])}
        elif match := re.fullmatch(r"sliding:(\d+):(\d+)", text):
            parts = {"kind": "sliding", "context": int(match[1]), "stride": int(match[2])}
        elif match := re.fullmatch(r"lines:(\d+)x(\d+)", text):
            parts = {"kind": "lines", "context": int(match[1]), "blocks": int(match[2])}
        else:
            raise SettingsError(f"unknown protocol {text!r}: write {FORMS}")
        if parts["context"] < 2 or parts.get("blocks", 1) < 1 or not 1 <= parts.get("stride", 1) < parts["context"]:
            raise SettingsError(
                f"protocol {text!r}: a context has 2 tokens or more, a stride is 1 or more and below it"
            )
        protocol = cls(**parts, **fields)
        if protocol.blocks is not None and protocol.tokens is not None:
            needed = protocol.context * protocol.blocks
            if protocol.tokens < needed:
                raise SettingsError(
                    f"protocol {text!r} fills its blocks with {needed:,} tokens; {protocol.tokens:,} are too few: ask "
                    "for fewer blocks, or leave out --tokens"
                )
        return protocol

    @property
    def name(self) -> str:
        """As `parse` takes it."""
        if self.kind == "blocks":
            return f"blocks:{self.context}"
        return (
            f"sliding:{self.context}:{self.stride}" if self.kind == "sliding" else f"lines:{self.context}x{self.blocks}"
        )

    def ids(self, text: str, encode: Encode) -> Ids:
        """Return the tokens of a text that are read, (token,) int64."""
        if self.kind == "lines":
            return self._shuffled(text, encode)
        ids = np.asarray(encode(joined(text, self.join)), dtype=np.int64)
        return ids if self.tokens is None else ids[: self.tokens]

    def _shuffled(self, text: str, encode: Encode) -> Ids:
        lines = [line for line in rows(text) if line.strip()]
        order = torch.randperm(len(lines), generator=seeded_generator("shuffled_lines", self.seed)).tolist()
        wanted = self.context * (self.blocks or 1)
        found: list[int] = []
        for number in order:
            if len(found) >= wanted:
                break
            found += encode(lines[number])
        return np.asarray(found[:wanted], dtype=np.int64)

    def examples(self, ids: Ids, bos: int | None = None) -> Arrays:
        """Return what the network sees and what is scored: `x` and `y`, (block, context) int64, y -100 elsewhere.

        Args:
            ids: (token,).
            bos: the token that goes before each block, where the protocol asks for one.
        Raises:
            SettingsError: if the text is too short, or there is no BOS token.
        """
        if self.bos and bos is None:
            raise SettingsError("this model has no BOS token: leave out --bos")
        if self.bos and self.kind == "sliding":
            raise SettingsError("a sliding window has no BOS token before it: choose blocks, or leave out --bos")
        x, y = self._sliding(ids) if self.kind == "sliding" else self._blocks(ids)
        if self.bos:
            x, y = np.concatenate([np.full_like(x[:, :1], bos), x[:, :-1]], axis=1), x
        return Arrays({"x": torch.from_numpy(x), "y": torch.from_numpy(y)})

    def _blocks(self, ids: Ids) -> tuple[Ids, Ids]:
        count = len(ids) // self.context
        if count < 1 or (self.blocks is not None and count < self.blocks):
            raise SettingsError(
                f"the text has {len(ids):,} tokens, too few for {self.name}: give a longer one, or less"
            )
        x = ids[: count * self.context].reshape(count, self.context)
        y = np.full_like(x, IGNORED)
        y[:, :-1] = x[:, 1:]
        return x, y

    def _sliding(self, ids: Ids) -> tuple[Ids, Ids]:
        if len(ids) < 2:
            raise SettingsError(f"the text has {len(ids)} tokens: at least 2 are needed")
        assert self.stride is not None
        width = min(self.context, len(ids))
        starts = [0, *range(self.stride, len(ids) - width + self.stride, self.stride)]
        x = np.full((len(starts), width), ids[-1])  # behind the text stands what no token that is scored sees
        y = np.full((len(starts), width), IGNORED)
        scored = 1  # tokens before this one are done; the first has nothing before it
        for row, start in enumerate(starts):
            window = ids[start : start + width]
            x[row, : len(window)] = window
            y[row, scored - start - 1 : len(window) - 1] = window[scored - start :]
            scored = start + len(window)
        return x, y

    def words(self, tokens: int, blocks: int) -> str:
        """Return the protocol in a line.

        Args:
            tokens: how many are scored.
            blocks: how many there are.
        """
        what = {
            "blocks": f"blocks of {self.context} tokens without overlap, a shorter last one dropped",
            "sliding": f"windows of {self.context} tokens, {self.stride} apart, each token scored once",
            "lines": f"lines shuffled with seed {self.seed}, joined to blocks of {self.context} tokens",
        }[self.kind]
        start = "a BOS token before each" if self.bos else "no BOS token"
        join = {"file": "; text as it stands", "rows": "; lines joined by two newlines"}[self.join]
        join = "" if self.kind == "lines" else join
        first = "" if self.tokens is None else f"; the first {self.tokens:,} tokens"
        return f"{self.name} ({what}; {start}{join}{first}): {tokens:,} tokens scored in {blocks:,} blocks"


def joined(text: str, join: str) -> str:
    """Return a text as it stands (`file`), or its lines joined by two newlines, empty ones too (`rows`).

    The second is what most published numbers on WikiText-2 use: the lines as the package `datasets` gives them, each
    with its newline, or empty.
    """
    if join == "file":
        return text
    return "\n\n".join(line if line.strip() else "" for line in rows(text))


def rows(text: str) -> list[str]:
    """Return the lines of a text, each with its newline."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])
