"""Where weights of a name lie: a path, or the copy of a repository of the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path

from lth.models.check import first_line
from lth.models.hugging_face import CHECKPOINTS

TOKENIZER = (
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
    "*.model",
)  # fmt: skip
"""Files that a tokenizer of the hub may have; code is none of them."""


def hub_name(name: str) -> str:
    """Return `hub:OWNER/NAME` for one of CHECKPOINTS, any other name as it is."""
    return f"hub:{CHECKPOINTS[name]}" if name in CHECKPOINTS else name


def weights_place(name: str, only: Sequence[str] = ()) -> Path:
    """Return where weights lie: a file or folder, or the copy of a repository of the Hugging Face hub.

    Args:
        name: a path, or `hub:OWNER/NAME`, with a revision as `hub:OWNER/NAME@REVISION`, or one of CHECKPOINTS, which is
            looked for as a path first.
        only: patterns of the files that are fetched [default: weights, config and tokenizer].
    Raises:
        ValueError: if `huggingface_hub` is not installed, or does not find it.
    """
    if not Path(name).exists():
        name = hub_name(name)
    if not name.startswith("hub:"):
        return Path(name).expanduser()
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(f"{name} is fetched by `huggingface_hub`: pip install huggingface_hub") from error
    repository, _, revision = name.removeprefix("hub:").partition("@")
    try:
        wanted = list(only) or ["*.safetensors", "*.safetensors.index.json", "config.json", *TOKENIZER]
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except Exception as error:  # whatever the network and the hub answer
        raise ValueError(f"{name} cannot be fetched ({first_line(error)}): name a folder instead") from error
