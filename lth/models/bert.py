"""BERT as `transformers` has it, of any size, to be trained from scratch; Turc et al. 2019, arXiv:1908.08962, sizes."""

import inspect
import json
from typing import Any

from torch import nn

from lth.config.choices import check_choice
from lth.models.hugging_face import hugging_face, imported

BASE = {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}

SET_BY_DATA = ("vocab_size", "use_cache", "is_decoder", "add_cross_attention")
"""Entries of BertConfig that the data tell, or that are a decoder's."""


def bert(
    vocabulary: int,
    num_classes: int | None = None,
    head: str | None = None,
    **config: Any,
) -> nn.Module:
    """Return BERT with values drawn.

    Args:
        vocabulary: word pieces.
        num_classes: of its classes, or 1 of a number; None makes a masked language model.
        head: entry of HEADS [default: sequence-classification where there are classes, else masked-lm].
        **config: entries of BertConfig: hidden_size, num_hidden_layers, num_attention_heads, intermediate_size
            [default: four times hidden_size], hidden_dropout_prob, ...
    Raises:
        ValueError: if an entry is none of BertConfig, which itself would take it in silence.
    """
    for name in config:
        check_choice("entry of BertConfig", name, entries())
    chosen = {**BASE, **config, "vocab_size": vocabulary}
    chosen.setdefault("intermediate_size", 4 * chosen["hidden_size"])
    head = head or ("masked-lm" if num_classes is None else "sequence-classification")
    return hugging_face(json.dumps(chosen), head, num_classes)


def entries() -> list[str]:
    """Return the entries of BertConfig that say what a network is, but the word pieces, which the data tell."""
    parameters = inspect.signature(imported().BertConfig).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name not in SET_BY_DATA]
