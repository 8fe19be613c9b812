"""Whether a network of `transformers` takes the tokens of the data, and predicts what a task asks for."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lth.models.hugging_face import is_of_transformers, sees_later_tokens


def longest(module: nn.Module) -> int | None:
    """Return how many tokens an example of a network of `transformers` may have; None where its config sets no limit.

    Positions of RoBERTa and its like begin behind that of the padding, so that it takes fewer than it has.
    """
    config: Any = module.config
    held: int | None = getattr(config, "max_position_embeddings", None)
    paddings = [
        layer.padding_idx + 1
        for name, layer in module.named_modules()
        if name.endswith("position_embeddings") and getattr(layer, "padding_idx", None) is not None
    ]
    return held - max(paddings, default=0) if held else None


def check_fit(module: nn.Module, facts: Mapping[str, Any], task: str = "") -> None:
    """Check a network against facts of the data (`vocabulary`, `length`) and a task; others than `transformers`' pass.

    Raises:
        ValueError: if the data have more words or longer examples than it takes, or an encoder is to predict the next
            token.
    """
    if not is_of_transformers(module):
        return
    config: Any = module.config
    if task == "language-model" and sees_later_tokens(config.to_dict()):
        raise ValueError(
            f"{config.model_type!r} is an encoder, whose tokens see later ones; task {task!r} needs a decoder"
        )
    limits = {
        "vocabulary": ("vocab_size", getattr(config, "vocab_size", None)),
        "length": ("max_position_embeddings", longest(module)),
    }
    for fact, (entry, held) in limits.items():
        wanted = facts.get(fact)
        if held is not None and wanted is not None and wanted > held:
            name = f"{entry} {getattr(config, entry):,}"
            room = "" if fact == "vocabulary" else f", room for {held:,} tokens,"
            raise ValueError(
                f"the {config.model_type!r} model has {name}{room} and the data need {wanted:,}: the tokenizer or the "
                "length of the data does not fit this model"
            )
