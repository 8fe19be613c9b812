"""`lth sample`: text from a trained language model."""

import sys
from pathlib import Path

from lth.cli.errors import UsageError, settings_as_usage
from lth.cli.stored import load_stored


def sample(
    id: str,
    folder: Path | None = None,
    /,
    *,
    prompt: str = "\n",
    arm: str | None = None,
    replicate: int = 0,
    num_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int = 200,
    seed: int = 0,
    store: Path = Path("lth-store"),
) -> int:
    """Write text with a language model of a study: a trained one, or one in training, as its newest snapshot has it.

        lth sample 192b --prompt "ROMEO:"
        lth sample 192b ./datasets --arm ticket --temperature 0.7

    Args:
        id: name or ID of the study; a beginning of the ID is enough.
        folder: folder of data files, for the tokenizer.
        prompt: text to go on from.
        arm: whose network, at the last level that is finished, or else begun [default: the first arm's].
        replicate: which one.
        num_tokens: tokens to write.
        temperature: below 1 likelier, above 1 wilder; 0 takes the likeliest token.
        top_k: draw among so many of the likeliest tokens.
        seed: of the draws.
        store: folder of results.
    """
    from lth.launch.sample import sample_text
    from lth.lineage import Store

    prepared = load_stored(id, store, folder)
    if temperature < 0 or top_k < 1 or num_tokens < 1:
        raise UsageError("--temperature is 0 or more, --top-k and --num-tokens are 1 or more")
    with settings_as_usage():
        sample = sample_text(
            prepared,
            Store(store),
            as_prompt(prompt),
            arm=arm,
            replicate=replicate,
            num_tokens=num_tokens,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
        )
    if not sample.is_finished:
        print(f"lth: the training goes on; this is of its newest snapshot: {sample.words}", file=sys.stderr)
    print(sample.text)
    return 0


def as_prompt(text: str) -> str:
    """Return a prompt as it was meant on a command line: with line ends and tabs."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
