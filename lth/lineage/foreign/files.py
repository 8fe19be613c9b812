"""Weights in files of any origin, read one tensor at a time: a ticket, a safetensors checkpoint, a Hugging Face folder.

Nothing is unpickled, and no model code is run but lth's own. Every tensor comes as (output, input, ...), also one that
Hugging Face's `Conv1D` stores the other way round; and a weight that other tools keep beside its mask comes as one.
"""

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lth.config.json_text import parse_json
from lth.lineage.foreign.names import Stored, stored_weights
from lth.models import MODELS
from lth.sparsity import State

if TYPE_CHECKING:
    from lth.lineage.ticket import Ticket

CONV1D_MODELS = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer", "clvp")
"""Model types, as in config.json, whose attention and perceptron layers are Hugging Face's `Conv1D`."""

CONV1D_LAYERS = ("c_attn.weight", "q_attn.weight", "c_proj.weight", "c_fc.weight")

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

EMBEDDING = re.compile(r"embed|(^|\.)(wte|wpe)(\.|$)")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One tensor of a file.

    Attributes:
        mask: (output, input, ...), True where a weight is kept; where the file has no masks, where it is not zero.
        weights: (output, input, ...), zero where pruned; None where they are not known.
    """

    mask: Tensor
    weights: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFile:
    """What a file or folder holds, and how to read it.

    Attributes:
        path: the file or folder.
        kind: what it is.
        shapes: as stored, by the name of the weight (without what wrappers put before it).
        is_floating: whether a tensor holds floats, by name.
        input_first: names of the tensors stored as (input, output).
        read: gives one weight; memory is needed for that one alone.
        masked: names of the weights that the file holds a mask of.
        note: what to know about the weights, or why there are none; may be empty.
    """

    path: Path
    kind: Literal["ticket", "checkpoint", "model folder"]
    shapes: dict[str, tuple[int, ...]]
    is_floating: dict[str, bool]
    input_first: frozenset[str]
    read: Callable[[str], Entry]
    masked: frozenset[str] = frozenset()
    note: str = ""

    @property
    def has_masks(self) -> bool:
        """Whether it says what is pruned; otherwise zeros are taken for it."""
        return bool(self.masked)

    def left_out(self) -> dict[str, str]:
        """Return why a tensor is not counted among the prunable weights unless asked for, by name; empty for a ticket.

        A file does not say which layer a tensor belongs to, so this goes by type, shape and name: only matrices and
        convolutions of floats count, and no embeddings (`embed`, `wte` or `wpe` in the name), as in `prunable`.
        """
        if self.kind == "ticket":
            return {}
        reasons = {name: self._reason(name) for name in self.shapes}
        return {name: reason for name, reason in reasons.items() if reason}

    def _reason(self, name: str) -> str:
        if len(self.shapes[name]) < 2:
            return "vector"
        if not self.is_floating[name]:
            return "not floating-point"
        if EMBEDDING.search(name):
            return "embedding"
        return "bias or table" if "bias" in name else ""


def open_weights(path: Path) -> WeightsFile:
    """Open a file or folder; tensors are read later, one by one.

    Args:
        path: a ticket or another safetensors file, or a folder with config.json and one or several safetensors files
            (`model.safetensors`, or shards, with or without their `model.safetensors.index.json`).
    Raises:
        ValueError: if it is missing, damaged, of another kind, or a pickle.
    """
    if path.is_dir():
        return _open_folder(path)
    metadata, tensors = _header(path)
    if "ticket" in metadata:
        return _open_ticket(path)
    return _open_tensors(path, "checkpoint", dict.fromkeys(tensors, path), tensors)


def _open_ticket(path: Path) -> WeightsFile:
    from lth.lineage.ticket import read_ticket

    ticket = read_ticket(path)
    shapes = {name: tuple(mask.shape) for name, mask in ticket.masks.items()}
    input_first = _input_first(shapes, None)
    start, note = _start(ticket)

    def read(name: str) -> Entry:
        mask = ticket.masks[name]
        weights = None if start is None else torch.where(mask, start[name], torch.zeros_like(start[name]))
        if name in input_first:
            mask, weights = mask.T, None if weights is None else weights.T
        return Entry(mask, weights)

    is_floating = dict.fromkeys(shapes, True)
    return WeightsFile(path, "ticket", shapes, is_floating, input_first, read, frozenset(shapes), note)


def _start(ticket: "Ticket") -> tuple[State | None, str]:
    """Return the ticket's starting weights if no code of others must run for them, and what to say of them."""
    try:
        if ticket.start is None and ticket.model.name not in MODELS:
            return None, f"no ranks: the ticket's starting weights are drawn by the code of {ticket.model.name!r}"
        return ticket.starting_weights(), "ranks are those of the starting weights under the masks"
    except ValueError as error:
        return None, f"no ranks: {error}"


def _open_folder(folder: Path) -> WeightsFile:
    index, weight_map = folder / "model.safetensors.index.json", dict[str, str]()
    if (folder / "model.safetensors").exists():
        files = [folder / "model.safetensors"]
    elif index.exists():
        weight_map = _weight_map(index)
        files = [folder / name for name in sorted(set(weight_map.values()))]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        found = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
        if pickles := [name for name in found if Path(name).suffix in PICKLES]:
            raise _pickle_error(folder / pickles[0])
        raise ValueError(
            f"the folder {folder} holds no *.safetensors (found: {', '.join(found[:8]) or 'nothing'}): name a model "
            "folder, a safetensors file or a ticket"
        )
    places: dict[str, Path] = {}
    tensors: dict[str, tuple[tuple[int, ...], str]] = {}
    for file in files:
        metadata, held = _header(file)
        if "ticket" in metadata:
            raise ValueError(f"{folder} is no model folder, but holds the ticket {file.name}: name that file")
        if both := next((name for name in held if name in places), None):
            raise ValueError(f"{both!r} is in both {places[both]} and {file}: name the one file that you mean")
        places |= dict.fromkeys(held, file)
        tensors |= held
    if lost := sorted(weight_map.keys() - places.keys()):
        raise ValueError(f"{folder} is incomplete: {index.name} names {lost[0]!r}, which no file holds: copy it again")
    return _open_tensors(folder, "model folder", places, tensors)


def _open_tensors(
    path: Path,
    kind: Literal["checkpoint", "model folder"],
    places: Mapping[str, Path],
    tensors: Mapping[str, tuple[tuple[int, ...], str]],
) -> WeightsFile:
    config = (path if path.is_dir() else path.parent) / "config.json"
    model_type = read_json(config).get("model_type") if config.exists() else None
    stored = stored_weights({name: shape for name, (shape, _) in tensors.items()})
    names = sorted(stored, key=_by_number)
    shapes = {name: tensors[stored[name].values][0] for name in names}
    input_first = _input_first(shapes, model_type)

    def tensor(name: str) -> Tensor:
        try:
            with safe_open(str(places[name]), framework="pt") as file:
                values: Tensor = file.get_tensor(name)
                return values
        except (SafetensorError, OSError) as error:
            raise _unreadable(places[name], error) from error

    def read(name: str) -> Entry:
        mask, values = _masked(stored[name], tensor)
        return Entry(mask.T, values.T) if name in input_first else Entry(mask, values)

    is_floating = {name: tensors[stored[name].values][1].startswith(("F", "BF")) for name in names}
    masked = frozenset(name for name in names if stored[name].mask is not None)
    return WeightsFile(path, kind, shapes, is_floating, input_first, read, masked)


def _masked(stored: Stored, tensor: Callable[[str], Tensor]) -> tuple[Tensor, Tensor]:
    """Return mask and values of a weight, zero where it is pruned."""
    values = tensor(stored.values)
    if stored.mask is None:
        return values != 0, values
    mask = tensor(stored.mask) != 0
    return mask, torch.where(mask, values, torch.zeros_like(values))


def _input_first(shapes: Mapping[str, tuple[int, ...]], model_type: str | None) -> frozenset[str]:
    """Return the names of the tensors that Hugging Face's `Conv1D` stores as (input, output).

    The model type says so; without one, the projection to query, key and value does, by being three times as wide as
    high (other code with the same names, as nanoGPT's, has Linear layers, where it is three times as high as wide).
    """
    layers = {name: shape for name, shape in shapes.items() if name.endswith(CONV1D_LAYERS) and len(shape) == 2}
    widths = [shape for name, shape in layers.items() if name.endswith("c_attn.weight")]
    is_conv1d = model_type in CONV1D_MODELS or any(columns == 3 * rows for rows, columns in widths)
    return frozenset(layers) if is_conv1d else frozenset()


def _header(path: Path) -> tuple[dict[str, str], dict[str, tuple[tuple[int, ...], str]]]:
    """Return metadata, and shape and type of each tensor of a safetensors file."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}: name a ticket, a safetensors file or a model folder")
    try:
        with safe_open(str(path), framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            tensors = {name: (tuple(each.get_shape()), str(each.get_dtype())) for name, each in slices.items()}
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    if _holds_arrays(path):
        return ValueError(
            f"{path} holds arrays, as the data of a study (`lth find-ticket MODEL {path.name}`), not the weights of a "
            "network: name a ticket, a safetensors file or a model folder. If its arrays are weights, "
            "safetensors.numpy.save_file writes them as such"
        )
    with path.open("rb") as file:
        start = file.read(2)
    # What torch.save writes is a zip of pickles; before version 1.6, a plain pickle.
    if path.suffix in PICKLES or start in (b"PK", b"\x80\x02"):
        return _pickle_error(path)
    return ValueError(f"{path} is no whole safetensors file ({error}): copy it again, or name another")


def _holds_arrays(path: Path) -> bool:
    """Return whether a file is numpy's: one array, or a zip of them."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(6) == b"\x93NUMPY"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def _pickle_error(path: Path) -> ValueError:
    return ValueError(
        f"{path} is a pickle, and reading a pickle can run any code, so lth never does. If you trust it, convert it: "
        f"safetensors.torch.save_file(torch.load({path.name!r}, weights_only=True), 'model.safetensors')"
    )


def _weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor; files lie in the index's own folder."""
    weight_map = read_json(index).get("weight_map")
    files = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not files or not all(isinstance(name, str) and Path(name).name == name for name in files):
        raise ValueError(f"{index} names no files of its own folder in 'weight_map': it is damaged, copy it again")
    return dict(weight_map or {})


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        ValueError: if it holds none.
    """
    try:
        document = parse_json(path.read_text())
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}): copy it again") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold a JSON object, found {type(document).__name__}: copy it again")
    return document


def _by_number(name: str) -> list[str | int]:
    """Sort layer 2 before layer 10. Text and numbers alternate, so that like is compared with like."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]
