"""Networks that others trained, read strictly into a module; and GPT-2 written as `transformers` reads it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from lth.lineage.files import json_to_bytes, weights_to_bytes, write_file
from lth.lineage.foreign.files import CONV1D_LAYERS, WeightsFile, open_weights
from lth.lineage.foreign.hugging_face import is_gguf
from lth.lineage.reader import tied
from lth.models import Gpt2
from lth.models.gpt2 import CausalAttention
from lth.sparsity import Weights

PREFIXES = ("transformer.", "model.", "bert.", "roberta.", "distilbert.")
"""What `transformers` puts before the names of a model that stands under a head."""

UNTRAINED = (".attn.bias", ".attn.masked_bias", "position_ids")
"""How the names of tensors end that are no weights: masks and numbers that old files keep."""


def pretrained_digest(path: Path) -> str:
    """Return the SHA-256, in hex, of all weight files of a folder, or of one file; of a GGUF file that of its bytes.

    Raises:
        ValueError: if it is missing, damaged, or a pickle.
    """
    if is_gguf(path):
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    open_weights(path)  # says what is wrong with it
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    content = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            content.update(hashlib.file_digest(stream, "sha256").digest())
    return content.hexdigest()


def read_pretrained(path: Path, module: nn.Module, fresh: Sequence[str] = ()) -> Weights:
    """Return the full state of a module with the values of a file or folder; every name is matched or named.

    Names may have what `transformers` puts before them. Matrices that Hugging Face's `Conv1D` stores [input, output]
    are turned. GPT-2's embedding is filled up to the module's rows of padding, which are zero, and positions beyond
    the module's block are left out.

    Args:
        path: as `open_weights` takes it.
        module: its own values are kept for buffers and for what is named `fresh`.
        fresh: names of parameters that the file need not have.
    Raises:
        ValueError: if a parameter of the module is missing in the file, the file holds more, or a shape is another.
    """
    file = open_weights(path)
    values = {name: _fitted(file, stored, name, module) for name, stored in _matched(file, module, fresh).items()}
    state = {name: values.get(name, value).to(value.dtype).clone() for name, value in module.state_dict().items()}
    return tied(state, module)


def check_pretrained(path: Path, module: nn.Module, fresh: Sequence[str] = ()) -> None:
    """Check that `read_pretrained` could read a file or folder into a module, by names and shapes.

    Raises:
        ValueError: as `read_pretrained`.
    """
    _matched(open_weights(path), module, fresh)


def _matched(file: WeightsFile, module: nn.Module, fresh: Sequence[str]) -> dict[str, str]:
    """Return the stored name of each parameter but the fresh ones."""
    own, state = dict(module.named_parameters()), module.state_dict()
    held = {name: stored for stored in file.shapes if (name := _own_name(stored, own)) and name not in fresh}
    missing = sorted(own.keys() - held.keys() - set(fresh))
    if missing:
        raise ValueError(
            f"{file.path} lacks {_some(missing)}: it is another network. Name its size as arguments of the model, or "
            "what is drawn anew"
        )
    unused = file.shapes.keys() - set(held.values())
    others = sorted(each for each in unused if not _is_known(each, file, held, state, fresh))
    if others:
        raise ValueError(f"{file.path} holds {_some(others)}, which the model lacks: choose its arguments to fit")
    for name, stored in held.items():
        shape = file.shapes[stored][::-1] if stored in file.input_first else file.shapes[stored]
        if not _fits(shape, name, module):
            raise ValueError(
                f"{file.path}: {stored} has shape {shape}, the model's {name} {tuple(own[name].shape)}: choose the "
                "arguments of the model to fit"
            )
    return held


def save_gpt2(module: Gpt2, folder: Path) -> None:
    """Write GPT-2 as a folder that `transformers` loads: `config.json` and `model.safetensors`.

    Matrices of the blocks are stored [input, output], biases that the network lacks are zeros, rows of padding are
    left out.

    Raises:
        ValueError: if the network has a sink or sparse activations, which GPT-2 as published has not.
    """
    heads = module.h[0].attn
    assert isinstance(heads, CausalAttention)
    if heads.sink_key is not None or not isinstance(heads.sparse, nn.Identity):
        raise ValueError("a GPT-2 with a sink or sparse activations is no GPT-2 of transformers: it cannot be saved so")
    vocabulary, (block, n_embd) = module.vocabulary, module.wpe.weight.shape
    state: Weights = {}
    for name, value in module.state_dict().items():
        value = value[:vocabulary] if name == "wte.weight" else value
        state[f"transformer.{name}"] = value.T if name.endswith(CONV1D_LAYERS) else value
        bias = name.removesuffix("weight") + "bias"
        if name.endswith("weight") and not name.startswith(("wte", "wpe")) and bias not in module.state_dict():
            state[f"transformer.{bias}"] = torch.zeros(value.shape[0])
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": module.ln_f.eps,
        "n_embd": n_embd,
        "n_head": heads.num_heads,
        "n_layer": len(module.h),
        "n_positions": block,
        "vocab_size": vocabulary,
        "bos_token_id": vocabulary - 1,
        "eos_token_id": vocabulary - 1,
        "resid_pdrop": module.drop.p,
        "embd_pdrop": module.drop.p,
        "attn_pdrop": heads.dropout,
        "tie_word_embeddings": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "config.json", json_to_bytes(config))
    write_file(folder / "model.safetensors", weights_to_bytes(state, {"format": "pt"}))


def _own_name(stored: str, own: dict[str, nn.Parameter]) -> str | None:
    """Return the module's name of a stored tensor; None if it has none."""
    plain = [stored, *(stored.removeprefix(prefix) for prefix in PREFIXES)]
    return next((name for name in [*plain, *(f"{prefix}{stored}" for prefix in PREFIXES)] if name in own), None)


def _is_known(stored: str, file: WeightsFile, held: Mapping[str, str], state: Weights, fresh: Sequence[str]) -> bool:
    """Return whether a tensor that fills no parameter may be passed over: tied, drawn anew, or no weight."""
    ends = (stored, *(stored.removeprefix(prefix) for prefix in PREFIXES))
    if stored == "lm_head.weight" and "wte.weight" in held:
        head, embedding = file.read(stored).weights, file.read(held["wte.weight"]).weights
        return head is not None and embedding is not None and torch.equal(head, embedding)
    return stored.endswith(UNTRAINED) or any(name in state or name in fresh for name in ends)


def _fits(shape: tuple[int, ...], name: str, module: nn.Module) -> bool:
    """Return whether values of this shape can fill a parameter: GPT-2's embeddings may be padded or cut."""
    wanted = tuple(module.get_parameter(name).shape)
    if isinstance(module, Gpt2) and name == "wte.weight":
        return shape in (wanted, (module.vocabulary, wanted[1]))
    if isinstance(module, Gpt2) and name == "wpe.weight":
        return len(shape) == 2 and shape[0] >= wanted[0] and shape[1] == wanted[1]
    return shape == wanted


def _fitted(file: WeightsFile, stored: str, name: str, module: nn.Module) -> torch.Tensor:
    values, rows = file.read(stored).weights, module.get_parameter(name).shape[0]
    assert values is not None  # only tickets have masks alone
    if isinstance(module, Gpt2) and name in ("wte.weight", "wpe.weight"):
        return nn.functional.pad(values, (0, 0, 0, rows - len(values)))  # below zero it cuts
    return values


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
