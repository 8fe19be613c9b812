"""`lth save`: a network of a study, for other programs."""

import sys
from pathlib import Path

from lth.cli.stored import load_stored


def save(
    id: str,
    folder: Path | None = None,
    /,
    *,
    to_transformers: Path,
    arm: str | None = None,
    replicate: int = 0,
    store: Path = Path("lth-store"),
) -> int:
    """Write a GPT-2 of a study as a folder that transformers loads.

        lth save 192b --to-transformers ./my-gpt2   # GPT2LMHeadModel.from_pretrained("./my-gpt2")

    Args:
        id: name or ID of the study; a beginning of the ID is enough.
        folder: folder of data files.
        to_transformers: folder to write config.json and model.safetensors into.
        arm: whose network, at the last level that is finished, or else begun [default: the first arm's].
        replicate: which one.
        store: folder of results.
    """
    from lth.launch.network import network_of, save_for_transformers
    from lth.lineage import Store

    network = network_of(load_stored(id, store, folder), Store(store), arm, replicate)
    save_for_transformers(network, to_transformers)
    if not network.is_finished:
        print(f"lth: the training goes on; this is of its newest snapshot: {network.words}", file=sys.stderr)
    print(f"Wrote      {to_transformers} ({network.words})")
    return 0
