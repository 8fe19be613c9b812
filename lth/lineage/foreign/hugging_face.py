"""Networks of `transformers` read from a folder or a GGUF file, strictly: every name is matched or named."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from lth.lineage.foreign.files import open_weights, read_json
from lth.models import ModelSpec, seeded
from lth.models.blocks import blocks_of
from lth.models.hugging_face import NAME, auto_class, config_of, config_text, head_kind, imported, one_line, quiet
from lth.sparsity import Weights
from lth.sparsity.heads import POOLER, base_of

GGUF = b"GGUF"
"""How a GGUF file begins."""


def is_gguf(path: Path) -> bool:
    """Return whether a file is GGUF, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(GGUF)) == GGUF


def hugging_face_spec(path: Path, head: str | None = None) -> ModelSpec:
    """Return the model whose weights a folder or GGUF file holds.

    Args:
        path: a folder with config.json, or a GGUF file.
        head: entry of HEADS [default: what the config names; of a GGUF file a causal language model].
    Raises:
        ValueError: if it has no config, or `transformers` does not know the architecture.
    """
    document = _gguf_config(path) if is_gguf(path) else _folder_config(path)
    text = config_text(document)
    config_of(text)  # says what is wrong with it
    return ModelSpec(name=NAME, arguments={"config": text, "head": head or head_kind(document)})


def _folder_config(path: Path) -> dict[str, Any]:
    if path.is_file():
        raise ValueError(f"{path} is no GGUF file: name it, or a folder with config.json and model.safetensors")
    file = path / "config.json"
    if not file.is_file():
        raise ValueError(f"{path} has no config.json: name the folder of a model as transformers saves it")
    return read_json(file)


def _gguf_config(path: Path) -> dict[str, Any]:
    transformers = imported()
    with quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
        except Exception as error:  # whatever transformers and gguf raise at a damaged or unknown file
            raise ValueError(f"{path} cannot be read as GGUF by transformers: {one_line(error)}") from error
    return dict(config.to_diff_dict())


def stored_types(path: Path) -> str:
    """Return how the tensors of a folder or GGUF file are stored, as `Q4_1 (210 tensors), F32 (61)`, most first.

    Raises:
        ValueError: if a file is damaged.
    """
    try:
        if is_gguf(path):
            imported()
            from gguf import GGUFReader

            counts = Counter(tensor.tensor_type.name for tensor in GGUFReader(path).tensors)
        else:
            counts = Counter(kind for file in sorted(path.glob("*.safetensors")) for kind in _types(file))
    except Exception as error:  # whatever gguf or safetensors raise at a damaged file
        raise ValueError(f"{path} cannot be read: {one_line(error)}") from error
    (first, number), *others = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join([f"{first} ({number} tensors)", *(f"{name} ({count})" for name, count in others)])


def _types(file: Path) -> list[str]:
    with safe_open(str(file), framework="pt") as tensors:
        return [str(tensors.get_slice(name).get_dtype()) for name in tensors.keys()]  # noqa: SIM118 - not a dict


def load_hugging_face(
    path: Path,
    spec: ModelSpec,
    precision: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    *,
    fresh: Sequence[str] = (),
    seed: int = 0,
    offload: Path | None = None,
) -> nn.Module:
    """Return a network with the values of a folder or GGUF file (dequantised), in evaluation mode.

    Tensors of another head than the model's (as of BERT's next-sentence prediction) are passed over.

    Args:
        path: a folder with safetensors, or a GGUF file.
        spec: as `hugging_face_spec` gives it.
        precision: of the weights.
        device: where they go.
        fresh: names of parameters that are drawn anew.
        seed: of those draws.
        offload: a folder; the blocks then stay on disk, and each is read when it is called.
    Raises:
        ValueError: if a parameter is missing, the file holds more, a shape is another, a value is not finite, or the
            file is damaged or a pickle.
    """
    module, info = read_loosely(path, spec, precision, device, seed, offload)
    check_names(path, module, info, fresh)
    module = module.eval() if offload is not None else module.eval().to(device)
    return module  # type: ignore[no-any-return]


def read_loosely(
    path: Path,
    spec: ModelSpec,
    precision: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    seed: int = 0,
    offload: Path | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Return a network as `transformers` reads it, and what it says of the names that did not match."""
    arguments: dict[str, Any] = {"gguf_file": path.name} if is_gguf(path) else {"use_safetensors": True}
    if offload is not None:
        if is_gguf(path):
            raise ValueError(f"{path} is dequantised in memory, so that it cannot stay on disk: give its safetensors")
        arguments |= {"device_map": _places(spec, device), "offload_folder": str(offload)}
    if not is_gguf(path):
        open_weights(path)  # says what is wrong with it
    config = config_of(spec.arguments["config"], spec.arguments.get("num_classes"))
    auto = auto_class(spec.arguments.get("head", "causal-lm"))
    with quiet(), seeded(seed):
        try:
            module, info = auto.from_pretrained(
                path.parent if path.is_file() else path,
                config=config,
                dtype=precision,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                local_files_only=True,
                trust_remote_code=False,
                **arguments,
            )
        except Exception as error:  # whatever transformers raises
            raise ValueError(f"{path} cannot be read by transformers: {one_line(error)}") from error
    return module, info


def hugging_face_state(path: Path, spec: ModelSpec, fresh: Sequence[str] = (), seed: int = 0) -> Weights:
    """Return the full state in float32, as `load_hugging_face` reads it."""
    module = load_hugging_face(path, spec, fresh=fresh, seed=seed)
    return {name: value.detach() for name, value in module.state_dict().items()}


def check_names(path: Path, module: nn.Module, info: dict[str, Any], fresh: Sequence[str]) -> None:
    """Check what `read_loosely` says of names.

    Raises:
        ValueError: as `load_hugging_face`.
    """
    own = {name for named in (module.named_parameters(), module.named_buffers()) for name, _ in named}
    missing = sorted((set(info["missing_keys"]) & own) - set(fresh))  # a tied tensor stands there once
    if missing:
        raise ValueError(f"{path} lacks {_some(missing)}: it is another network, or has another head")
    other = [
        f"{name} {tuple(found)} in place of {tuple(wanted)}"
        for name, found, wanted in info["mismatched_keys"]
        if name not in fresh
    ]
    if other:
        raise ValueError(f"{path} does not fit its config.json: {_some(sorted(other))}")
    unexpected = sorted(set(info["unexpected_keys"]) - set(other_heads(module, info["unexpected_keys"])))
    if unexpected:
        raise ValueError(f"{path} holds {_some(unexpected)}, which the model of its config.json lacks")
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not value.is_meta and not bool(value.isfinite().all()):
            raise ValueError(f"{path}: {name} holds values that are not finite (nan or inf): nothing can be measured")


def other_heads(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Return which tensors of a file, left over, are those of another head: outside its base model, or a pooler.

    Of the base model is what bears its prefix, or begins with one of its parts, as in a file of that alone.
    """
    base = base_of(module) or module
    prefix = str(getattr(module, "base_model_prefix", ""))
    parts = {name.partition(".")[0] for name in base.state_dict()} | {prefix}
    named = ((name, name.split(".")) for name in names)
    return sorted(name for name, path in named if path[0] not in parts or POOLER in path[:2])


def _places(spec: ModelSpec, device: torch.device | str) -> dict[str, str]:
    """Return where each part of a network goes: the blocks to disk, what stands around them on the device."""
    from lth.models import resolve_factory, skeleton

    module = skeleton(spec, resolve_factory(spec.name))
    blocks, _ = blocks_of(module)
    places: dict[str, str] = {}

    def place(part: nn.Module, name: str) -> None:
        for child, inner in part.named_children():
            path = f"{name}.{child}" if name else child
            if path == blocks:
                places.update({f"{path}.{number}": "disk" for number in range(len(list(inner.children())))})
            elif blocks.startswith(f"{path}."):
                place(inner, path)
            else:
                places[path] = str(device)
        places.update(
            {f"{name}.{own}" if name else own: str(device) for own, _ in part.named_parameters(recurse=False)}
        )

    place(module, "")
    return places


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
