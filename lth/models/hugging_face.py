"""Networks of `transformers`, made from their config: causal and masked language models, encoders, classifiers."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, Any

from torch import nn

from lth.config.choices import Table
from lth.config.json_text import parse_json

if TYPE_CHECKING:
    from transformers import PretrainedConfig

NAME = "hugging-face"
"""Its entry in MODELS."""

HEADS: Table[str] = Table(
    "head",
    {
        "causal-lm": "AutoModelForCausalLM",
        "masked-lm": "AutoModelForMaskedLM",
        "encoder": "AutoModel",
        "sequence-classification": "AutoModelForSequenceClassification",
    },
)
"""What stands on the blocks, and the class of `transformers` that makes it."""

ENDINGS = {
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
    "ForSequenceClassification": "sequence-classification",
    "Model": "encoder",
}
"""How the names of architectures end, and the head that they have."""

CHECKPOINTS: Table[str] = Table(
    "pre-trained model",
    {
        "bert-base-uncased": "google-bert/bert-base-uncased",
        "bert-base-cased": "google-bert/bert-base-cased",
        "bert-large-uncased": "google-bert/bert-large-uncased",
        "distilbert-base-uncased": "distilbert/distilbert-base-uncased",
        "roberta-base": "FacebookAI/roberta-base",
    },
)
"""Pre-trained models by the names that papers give them, and where the hub has them."""

PASSING = frozenset(
    {
        "_name_or_path", "_model_name_or_path", "_commit_hash", "_attn_implementation", "architectures", "auto_map",
        "dtype", "torch_dtype", "transformers_version", "use_cache",
    }
)  # fmt: skip
"""Entries of a config that say where it came from, or change no number here."""


def hugging_face(config: str, head: str = "causal-lm", num_classes: int | None = None) -> nn.Module:
    """Return a network of `transformers` in float32, with values drawn, that keeps no cache of keys and values.

    It is called with token ids, (batch, position), and gives logits, or the last hidden states where it has no head.

    Args:
        config: JSON text of config.json, as `config_text` gives it.
        head: entry of HEADS.
        num_classes: of a classifier; 1 where a number is asked for [default: those of the config].
    Raises:
        ValueError: if `transformers` is missing, or lacks the architecture.
    """
    made = config_of(config, num_classes)
    auto = auto_class(head)
    with quiet():
        try:
            module: nn.Module = auto.from_config(made, trust_remote_code=False)
        except Exception as error:  # whatever transformers raises at a config that does not fit
            raise ValueError(f"transformers makes no {head} of {made.model_type!r}: {one_line(error)}") from error
    return module


def config_text(document: Mapping[str, Any]) -> str:
    """Return the JSON text of a config without what changes no number (paths, versions, dtype), keys sorted."""
    kept = {name: value for name, value in document.items() if name not in PASSING}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def config_of(text: str, num_classes: int | None = None) -> "PretrainedConfig":
    """Return the config of `transformers` that a text describes; float32, no cache; of a classifier with its classes.

    Raises:
        ValueError: if `transformers` is missing, does not know the architecture, or the text is no config.
    """
    transformers = imported()
    document = parse_json(text)
    kind = document.pop("model_type", None) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop("auto_map", None)  # names code that comes with a model
    if kind is None:
        raise ValueError("this config names no model_type: take the config.json of a model of transformers")
    if kind not in transformers.CONFIG_MAPPING:
        raise ValueError(
            f"unknown architecture {kind!r}: the installed transformers {transformers.__version__} does not have it "
            "(code that comes with a model is never run). A newer transformers may: pip install -U transformers"
        )
    with quiet():
        try:
            config: PretrainedConfig = transformers.AutoConfig.for_model(kind, **document)
        except Exception as error:  # whatever transformers raises at wrong values
            raise ValueError(f"transformers does not read this config of {kind!r}: {one_line(error)}") from error
    if config.is_encoder_decoder:
        raise ValueError(f"{kind!r} is an encoder with a decoder: one stack of blocks is needed, as of GPT-2 or BERT")
    config.use_cache = False
    config.dtype = "float32"
    if num_classes is not None:
        config.num_labels = num_classes
    return config


def head_kind(document: Mapping[str, Any]) -> str:
    """Return the head that a config.json names by its architecture; without one a language model's.

    Where each token sees later ones, that is a masked language model's.
    """
    named = (document.get("architectures") or [""])[0]
    head = next((head for ending, head in ENDINGS.items() if named.endswith(ending)), "causal-lm")
    return "masked-lm" if head == "causal-lm" and sees_later_tokens(document) else head


def sees_later_tokens(document: Mapping[str, Any]) -> bool:
    """Return whether a config.json is that of an encoder, as BERT's: each token sees all, unless it `is_decoder`."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return document.get("model_type") in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not document.get("is_decoder")


def auto_class(head: str) -> Any:
    """Return the class of `transformers` that makes and reads networks with this head."""
    return getattr(imported(), HEADS.pick(head))


def imported() -> Any:
    """Return the module `transformers`.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            'models of the Hugging Face hub and GGUF files need transformers: pip install "lth[hf]"'
        ) from error
    return transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Keep `transformers` from writing progress and reports: what is wrong comes as an exception."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)


def is_of_transformers(module: nn.Module) -> bool:
    """Return whether a network is one of `transformers`, with a config and a folder to be saved in."""
    transformers = sys.modules.get("transformers")  # where it is not imported, nothing is made of it
    return transformers is not None and isinstance(module, transformers.PreTrainedModel)


def one_line(error: BaseException) -> str:
    """Return type and text of an exception on one line, shortened."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
