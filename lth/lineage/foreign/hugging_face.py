"""Networks of `transformers` read from a folder or a GGUF file, strictly: every name is matched or named."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from lth.lineage.foreign.files import open_weights, read_json
from lth.models import ModelSpec, seeded
from lth.models.blocks import blocks_of
from lth.models.hugging_face import NAME, auto_class, config_of, config_text, head_of, imported, one_line, quiet
from lth.sparsity import Weights

GGUF = b"GGUF"
"""How a GGUF file begins."""

OTHER_HEADS = frozenset(
    {"classifier", "cls", "lm_head", "mlm", "pooler", "pre_classifier", "predictions", "qa_outputs", "score"}
    | {"vocab_layer_norm", "vocab_projector", "vocab_transform"}
)
"""What `transformers` calls heads: of one that the model lacks, tensors may be left over."""


@dataclass(frozen=True, slots=True)
class HeadMatch:
    """How the head of a network and the tensors of a file fit, by name.

    Attributes:
        drawn: parameters of the head that the file lacks, or has in another shape.
        kept: parameters of the head that the file holds; a pooler counts to the encoder.
        left_over: tensors of other heads, which fill nothing.
    """

    drawn: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return a line for each kind that there is."""
        said = (("drawn anew", self.drawn), ("head kept", self.kept), ("passed over", self.left_over))
        return [f"{what}: {', '.join(names)}" for what, names in said if names]


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
    return ModelSpec(name=NAME, arguments={"config": text, "head": head or head_of(document)})


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
    module, info = _read(path, spec, precision, device, seed, offload)
    _check(path, module, info, fresh)
    module = module.eval() if offload is not None else module.eval().to(device)
    return module  # type: ignore[no-any-return]


def _read(
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


def head_match(path: Path, spec: ModelSpec) -> HeadMatch:
    """Return which parameters of a head a folder or GGUF file holds, which are drawn, and what it holds beside them.

    Raises:
        ValueError: as `load_hugging_face`, of anything else that does not match.
    """
    module, info = _read(path, spec)
    lacking = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    heads = [name for name, _ in module.named_parameters() if is_head(name)]
    drawn = tuple(name for name in heads if name in lacking)
    _check(path, module, info, drawn)
    left_over = tuple(sorted(name for name in info["unexpected_keys"] if is_head(name)))
    kept = tuple(name for name in heads if name not in lacking and "pooler" not in name.split("."))
    return HeadMatch(drawn, kept, left_over)


def is_head(name: str) -> bool:
    """Return whether a tensor is of a head, by its name."""
    return not OTHER_HEADS.isdisjoint(name.split(".")[:2])


def _check(path: Path, module: nn.Module, info: dict[str, Any], fresh: Sequence[str]) -> None:
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
    unexpected = sorted(name for name in info["unexpected_keys"] if not is_head(name))
    if unexpected:
        raise ValueError(f"{path} holds {_some(unexpected)}, which the model of its config.json lacks")
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not value.is_meta and not bool(value.isfinite().all()):
            raise ValueError(f"{path}: {name} holds values that are not finite (nan or inf): nothing can be measured")


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
