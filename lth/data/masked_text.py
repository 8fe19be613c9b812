"""Text of which some tokens are hidden, for masked language modelling."""

import hashlib
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lth.data.order import seeded_generator
from lth.data.rows import Rows
from lth.data.token_cache import kept_tokens
from lth.data.types import Data
from lth.data.untokenised import Untokenised
from lth.tasks.token_targets import IGNORED

MASKS = ("[MASK]", "<mask>")
HELD_OUT = 10
"""One window of so many is for validation, and as many for the test."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts(Untokenised):
    """A text that is to become windows of tokens, some of them hidden.

    Attributes:
        lines: of the text.
        block: tokens of a window, special ones among them.
        share: of the tokens of a window that are hidden.
        copies: of each window of training, with other tokens hidden in each.
        seed: that they are drawn by.
        tokenizer: its folder or file; None takes that of the model.
    """

    lines: tuple[str, ...]
    block: int
    share: float
    copies: int
    seed: int
    tokenizer: Path | None = None

    @property
    def digest(self) -> str:
        content = hashlib.sha256(f"text {self.block} {self.share} {self.copies} {self.seed}\n".encode())
        content.update("\n".join(self.lines).encode())
        return content.hexdigest()

    def __len__(self) -> int:
        return len(self.lines)


def load_masked_text(
    folder: Path | None = None,
    file: str = "",
    block: int = 128,
    share: float = 0.15,
    copies: int = 10,
    seed: int = 0,
    tokenizer: str = "",
) -> Data:
    """Load a text in UTF-8 for masked language modelling.

    Windows of it follow one another; the last tenth is the test part and the tenth before it the validation part, of
    one copy each. Which tokens are hidden is drawn once, by the seed: `copies` times for each window of training.

    Args:
        folder: where data files are; a file is also looked for in it.
        file: the text.
        block: tokens of a window, special ones among them.
        share: of the tokens of a window that are hidden.
        copies: of each window of training.
        seed: that they are drawn by.
        tokenizer: its folder or file [default: that of the model].
    Raises:
        ValueError: if a number is out of its range, or the file cannot be read.

    Source: Devlin et al. 2018, arXiv:1810.04805 (share 15 %, and ten copies of the data).
    """
    if not file:
        raise ValueError("masked-text needs a text: write masked-text:file=PATH.txt")
    if block < 4 or not 0 < share < 1 or copies < 1:
        raise ValueError(
            f"masked-text: found block={block}, share={share} and copies={copies}; allowed: block from 4, share "
            "between 0 and 1, copies from 1"
        )
    path = Path(file).expanduser()
    inside = path if folder is None else folder.expanduser() / path
    path = inside if not path.exists() and inside.exists() else path
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a text in UTF-8: {error}") from error
    own = Path(tokenizer).expanduser() if tokenizer else None
    texts = Texts(tuple(line for line in lines if line.strip()), block, share, copies, seed, own)
    return Data("masked-text", {"train": texts}, {}, "masked-language-model")


def masked_parts(texts: Texts, tokenizer: Any) -> dict[str, Rows]:
    """Return train, validation and test of a text, by a tokenizer of the package `tokenizers`.

    Raises:
        ValueError: if the tokenizer has no token that hides others, or the text is too short.
    """
    mask = next((i for name in MASKS if (i := tokenizer.token_to_id(name)) is not None), None)
    if mask is None:
        raise ValueError(f"the tokenizer has none of the tokens {', '.join(MASKS)}: it is of no masked language model")
    special = torch.tensor(tokenizer.encode("").ids, dtype=torch.int32)
    windows = kept_tokens(
        f"windows {texts.block} {hashlib.sha256(chr(10).join(texts.lines).encode()).hexdigest()} {tokenizer.to_str()}",
        len(texts),
        lambda: {"windows": _windows(texts, tokenizer, special)},
    )["windows"]
    held = len(windows) // HELD_OUT
    if not held:
        raise ValueError(
            f"the text has {len(windows)} windows of {texts.block} tokens; {HELD_OUT} are the least: take a smaller "
            "block"
        )
    kept = len(windows) - 2 * held
    cut = {"train": windows[:kept], "validation": windows[kept : kept + held], "test": windows[kept + held :]}
    fixed = torch.zeros(texts.block, dtype=torch.bool)
    if len(special):
        fixed[0] = fixed[texts.block - len(special) + 1 :] = True
    return {
        part: _hidden(
            some, fixed, texts, mask, tokenizer.get_vocab_size(), part, texts.copies if part == "train" else 1
        )
        for part, some in cut.items()
    }


def _windows(texts: Texts, tokenizer: Any, special: Tensor) -> Tensor:
    """Return the windows, (window, block) int32: the first special token, the text, and the others."""
    stream = array("i")
    for start in range(0, len(texts.lines), 10_000):
        lines = list(texts.lines[start : start + 10_000])
        for encoded in tokenizer.encode_batch_fast(lines, add_special_tokens=False):
            stream.extend(encoded.ids)
    width = texts.block - len(special)
    number = len(stream) // width
    inner = torch.from_numpy(np.array(stream, dtype=np.int32))[: number * width].view(number, width)
    first, last = special[:1].expand(number, -1), special[1:].expand(number, -1)
    return torch.cat([first, inner, last], 1)


def _hidden(windows: Tensor, fixed: Tensor, texts: Texts, mask: int, vocabulary: int, part: str, copies: int) -> Rows:
    """Return copies of windows with tokens hidden: 80 % by the mask, 10 % by any token, 10 % stay as they are.

    Args:
        windows: (window, block).
        fixed: (block,) where special tokens stand, which are never hidden.
        texts: share and seed.
        mask: the token that hides.
        vocabulary: tokens that there are.
        part: of the data.
        copies: how often each window comes.
    """
    number = max(1, round(texts.share * int((~fixed).sum())))
    inputs, targets = [], []
    for copy in range(copies):
        generator = seeded_generator(f"masked text of {part}", texts.seed, copy)
        order = torch.rand(windows.shape, generator=generator).masked_fill(fixed, 2.0).argsort(1)
        is_hidden = torch.zeros(windows.shape, dtype=torch.bool).scatter_(1, order[:, :number], True)
        kind = torch.rand(windows.shape, generator=generator)
        drawn = torch.randint(vocabulary, windows.shape, generator=generator, dtype=torch.int32)
        shown = torch.where(kind < 0.8, mask, torch.where(kind < 0.9, drawn, windows))
        inputs.append(torch.where(is_hidden, shown, windows))
        targets.append(torch.where(is_hidden, windows, IGNORED).long())
    tokens = torch.cat(inputs).flatten().to(torch.int32)
    starts = torch.arange(0, len(tokens) + 1, texts.block)
    return Rows(tokens, starts, torch.cat(targets), is_bucketed=False)
