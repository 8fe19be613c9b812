"""A tiny random network of every family whose down-projections are known."""

import torch
import transformers
from torch import nn

from lth.models.gpt2 import Gpt2

VOCABULARY = 50
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 2, **TOKENS}
LLAMA = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 2, **TOKENS,
}  # fmt: skip
EXPERTS = {**LLAMA, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
MPT = {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 3, "n_heads": 2, **TOKENS}
DISTIL = {"vocab_size": VOCABULARY, "dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 2, **TOKENS}
DENSE = {
    "gpt2": GPT2,
    "gpt_neo": {**LLAMA, "num_layers": 3, "num_heads": 2, "attention_types": [[["global"], 3]]},
    "gptj": {**GPT2, "rotary_dim": 4},
    "gpt_bigcode": GPT2,
    "starcoder2": LLAMA,
    "llama": LLAMA,
    "gemma2": {**LLAMA, "head_dim": 16},
    "lfm2": {**LLAMA, "layer_types": ["full_attention"] * 3, "block_auto_adjust_ff_dim": False},
    "mpt": MPT,
    "gpt_neox": LLAMA,
    "falcon": LLAMA,
    "bloom": {**LLAMA, "n_layer": 3, "n_head": 2},
    "phi": LLAMA,
    "opt": {**LLAMA, "ffn_dim": 48, "word_embed_proj_dim": 32, "max_position_embeddings": 64},
}
"""Settings of causal language models, by model type of `transformers`."""

MIXTURES = {
    "mixtral": EXPERTS,
    "qwen2_moe": {**EXPERTS, "decoder_sparse_step": 1, "shared_expert_intermediate_size": 24},
    "qwen3_moe": {**EXPERTS, "head_dim": 16, "mlp_only_layers": [0]},
    "olmoe": EXPERTS,
    "granitemoeshared": {**EXPERTS, "shared_intermediate_size": 24},
    "gpt_oss": {**EXPERTS, "head_dim": 16},
}
"""The same of mixtures of experts."""

ENCODERS = {"bert": LLAMA, "distilbert": DISTIL, "modernbert": LLAMA}
"""The same of encoders."""


def network(name: str, seed: int = 0) -> nn.Module:
    """Return a random network in evaluation mode; "lth" is the project's own GPT-2."""
    torch.manual_seed(seed)
    if name == "lth":
        return Gpt2(vocabulary=VOCABULARY, block=64, n_layer=3, n_head=2, n_embd=32).eval()
    settings = (DENSE | MIXTURES | ENCODERS)[name]
    kind = transformers.AutoModel if name in ENCODERS else transformers.AutoModelForCausalLM
    return kind.from_config(transformers.AutoConfig.for_model(name, **settings)).eval()


NAMES = ("lth", *DENSE, *MIXTURES, *ENCODERS)
