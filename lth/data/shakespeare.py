"""The tiny Shakespeare: where its file lies, or is downloaded to."""

import hashlib
from pathlib import Path

from lth.data.download import download
from lth.data.places import mirrors, roots, target

SHAKESPEARE = "tiny-shakespeare"
FILE = "input.txt"
CHECKSUM = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
PUBLIC = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)


def shakespeare_file(folder: Path | None = None) -> Path:
    """Return the path of the tiny Shakespeare, from disk, or downloaded once.

    Args:
        folder: where data sets are kept; created when something is downloaded.
    Raises:
        ValueError: if the file is another text, or the download fails.
    """
    path = locate_shakespeare(folder)
    if path is None:
        path = target(SHAKESPEARE, folder) / FILE
        download({FILE: CHECKSUM}, path.parent, mirrors(SHAKESPEARE, PUBLIC), SHAKESPEARE)
    return path


def locate_shakespeare(folder: Path | None = None) -> Path | None:
    """Return the file on disk; None if there is none. Downloads nothing.

    `input.txt` is looked for in `folder/tiny-shakespeare`, `folder/tinyshakespeare` and `folder` itself, then in the
    same places of the folder that the environment variable LTH_DATA_DIR names, and of the user's cache.

    Raises:
        ValueError: if one of these folders has another text.
    """
    for root in roots(folder):
        for place in (root / SHAKESPEARE, root / "tinyshakespeare", root):
            path = place / FILE
            if not path.is_file():
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() == CHECKSUM:
                return path
            if place != root:  # a folder that keeps everything may have an input.txt of something else
                raise ValueError(f"{path} is not {SHAKESPEARE} (wrong checksum): fetch the file again, or remove it")
    return None
