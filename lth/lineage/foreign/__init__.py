"""Weights in files of any origin, what they keep, and networks that others trained."""

from lth.lineage.foreign.files import Entry, WeightsFile, open_weights
from lth.lineage.foreign.head_match import HeadMatch, head_match
from lth.lineage.foreign.hugging_face import (
    hugging_face_spec,
    hugging_face_state,
    is_gguf,
    load_hugging_face,
    stored_types,
)
from lth.lineage.foreign.nanogpt import read_nanogpt_log
from lth.lineage.foreign.pretrained import check_pretrained, pretrained_digest, read_pretrained, save_gpt2
from lth.lineage.foreign.report import sparsity_document

__all__ = [
    "Entry",
    "HeadMatch",
    "WeightsFile",
    "check_pretrained",
    "head_match",
    "hugging_face_spec",
    "hugging_face_state",
    "is_gguf",
    "load_hugging_face",
    "open_weights",
    "pretrained_digest",
    "read_nanogpt_log",
    "read_pretrained",
    "save_gpt2",
    "sparsity_document",
    "stored_types",
]
