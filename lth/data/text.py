"""Texts as streams of characters: any file of the user's, and the tiny Shakespeare."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth.data.shakespeare import SHAKESPEARE, shakespeare_file
from lth.data.tokens.characters import Characters, code_points, text_of
from lth.data.tokens.tokenizer import LARGEST_VOCABULARY
from lth.data.types import Data
from lth.data.windows import Windows


def tiny_shakespeare(folder: Path | None = None, block: int = 64) -> Data:
    """Load 1,115,394 characters of Shakespeare, from disk, or downloaded once.

    `input.txt` is looked for in `folder/tiny-shakespeare`, `folder/tinyshakespeare` and `folder` itself, then in the
    same places of the folder that the environment variable LTH_DATA_DIR names. If it is in none, it is downloaded into
    `folder/tiny-shakespeare` (without a folder: the user's cache). See `load_text` for the tokens and the split.

    Args:
        folder: where data sets are kept; created when something is downloaded.
        block: characters of an example.
    Raises:
        ValueError: if the file is another text, or the download fails.

    Source: A. Karpathy, char-rnn, 2015.
    """
    return load_text(shakespeare_file(folder), block, SHAKESPEARE)


def load_text(path: Path, block: int = 64, name: str | None = None) -> Data:
    """Load a text in UTF-8 for language modelling, a token per character.

    Tokens number the different characters of the whole text in the order of Unicode. The first 90 % of the characters
    (rounded down) are the training part and the rest the test part, as in nanoGPT; examples are windows of them, one
    after the other, and what does not fill a last window is left out.

    Args:
        path: the file.
        block: characters of an example.
        name: for reports [default: the file's name without its ending].
    Raises:
        ValueError: if the file cannot be read, is no UTF-8, or is too short for one window in each part.
    """
    if block < 1:
        raise ValueError(f"block is {block}: an example has 1 character or more")
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give the path of a text") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 (byte {error.start}): save it in UTF-8") from error
    different, places = np.unique(code_points(text), return_inverse=True)
    is_small = len(different) <= LARGEST_VOCABULARY
    tokens: NDArray[np.unsignedinteger] = places.astype(np.uint16) if is_small else places.astype(np.uint32)
    num_train = len(tokens) * 9 // 10
    parts = {"train": Windows(tokens[:num_train], block), "test": Windows(tokens[num_train:], block)}
    if not all(map(len, parts.values())):
        raise ValueError(
            f"{path} has {len(tokens)} characters, and its last tenth must hold one window of {block} and the next "
            f"character: give a longer text, or a smaller block (as {path.name}:block=8)"
        )
    test = text[num_train:]
    facts = {"vocabulary": len(different), "block": block, "bytes_per_token": len(test.encode("utf-8")) / len(test)}
    tokenizer = Characters(text_of(different)) if is_small else None
    return Data(path.stem if name is None else name, parts, facts, "language-model", tokenizer)
