"""The ticket file: masks, where they came from, and enough to check every claim in it.

`NAME.ticket.safetensors` holds bit-packed masks by parameter name (`mask/NAME`), the starting weights only where they
cannot be drawn again from a seed (`start/NAME`), and one JSON document: model, seeds, digests, density, scores and
derivation.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from lth.lineage.derive import Deriver, Sources, tie
from lth.lineage.files import pack_masks, state_digest, unpack_masks, write_file
from lth.lineage.nodes import Combined, Initial, Trained, from_documents, model_of, to_documents
from lth.lineage.provenance import environment
from lth.models.spec import ModelSpec
from lth.sparsity import Masks, Weights, combine, density, density_by_tensor

FORMAT = "lth.ticket/1"


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A ticket in memory.

    Attributes:
        masks: what it keeps.
        start: its starting weights, if the file holds them.
        document: everything else, as JSON values.
    """

    masks: Masks
    start: Weights | None
    document: dict[str, Any]

    @property
    def trained(self) -> Trained:
        """The training that this ticket won, from its derivation."""
        node = from_documents(self.document["derivation"])[self.document["key"]]
        if not isinstance(node, Trained):
            raise ValueError(f"the ticket's derivation ends in a {node.kind}, not in a training")
        return node

    @property
    def model(self) -> ModelSpec:
        """The model that it belongs to."""
        return model_of(self.trained.start)


def make_ticket(trained: Trained, deriver: Deriver, scores: dict[str, Any], labels: dict[str, Any]) -> Ticket:
    """The ticket of a finished training.

    Args:
        trained: a training under masks.
        deriver: holds the store.
        scores: what was measured, as JSON values.
        labels: what to call it (study, level, replicate).
    """
    masks, start = deriver.masks(trained.masks), deriver.weights(trained.start)
    start_node = trained.start
    is_redrawn = (
        isinstance(start_node, Combined)
        and isinstance(start_node.kept, Initial)
        and (start_node.action, start_node.pruned) == ("copy", "zero")
    )
    document = {
        "format": FORMAT,
        "key": trained.key,
        "labels": labels,
        "model": model_of(trained.start).model_dump(mode="json"),
        "seeds": trained.seeds.model_dump(),
        "shapes": {name: list(mask.shape) for name, mask in masks.items()},
        "density": density(masks),
        "density_by_tensor": density_by_tensor(masks),
        "masks_digest": state_digest(dict(masks)),
        "start_digest": state_digest(start),
        "scores": scores,
        "environment": environment(),
        "derivation": to_documents(trained),
    }
    return Ticket(masks, None if is_redrawn else start, document)


def write_ticket(ticket: Ticket, path: Path) -> None:
    """Writes the file, whole or not at all.

    Raises:
        StoreError: if it cannot be written.
    """
    tensors = {f"mask/{name}": packed for name, packed in pack_masks(ticket.masks).items()}
    tensors |= {f"start/{name}": value.contiguous() for name, value in (ticket.start or {}).items()}
    text = json.dumps(ticket.document, allow_nan=False)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    # One entry: safetensors writes several in no fixed order, and equal tickets shall be equal files.
    write_file(path, save(tensors, {"ticket": f"{checksum}\n{text}"}))


def read_ticket(path: Path) -> Ticket:
    """The ticket in a file, with its masks checked against their digest.

    Raises:
        ValueError: if the file is missing, damaged, no ticket, or its digest is wrong.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}): copy it again or make the ticket anew"
        ) from error
    checksum, _, text = metadata.get("ticket", "").partition("\n")
    if not text:
        raise ValueError(f"{path} is a safetensors file, but no ticket: tickets are written by `lth find-ticket`")
    if hashlib.sha256(text.encode()).hexdigest() != checksum:
        raise ValueError(f"{path}: the ticket's document does not give its checksum: the file was altered or damaged")
    document = json.loads(text)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}; this lth reads {FORMAT!r}: update lth")
    packed = {name.removeprefix("mask/"): value for name, value in tensors.items() if name.startswith("mask/")}
    start = {name.removeprefix("start/"): value for name, value in tensors.items() if name.startswith("start/")}
    try:
        masks = unpack_masks(packed, document["shapes"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}: the file was altered or damaged") from error
    found = state_digest(dict(masks))
    if found != document["masks_digest"]:
        raise ValueError(
            f"{path}: the masks have digest {found[:12]}..., the ticket says "
            f"{document['masks_digest'][:12]}...: the file was "
            "altered or damaged"
        )
    return Ticket(masks, start or None, document)


def starting_weights(ticket: Ticket, sources: Sources) -> Weights:
    """The weights that the ticket starts from: those in the file, or drawn again from the seed.

    Raises:
        ValueError: if their digest is not the ticket's.
    """
    start = ticket.start
    if start is None:
        combined = ticket.trained.start
        assert isinstance(combined, Combined)
        assert isinstance(combined.kept, Initial)
        module = sources.module(combined.kept.model, combined.kept.seed)
        drawn = dict(module.state_dict())
        zeros = {name: torch.zeros_like(drawn[name]) for name in ticket.masks}
        start = tie(combine(ticket.masks, drawn, zeros), module)
    found, expected = state_digest(start), ticket.document["start_digest"]
    if found != expected:
        raise ValueError(
            f"the starting weights have digest {found[:12]}..., the ticket says {expected[:12]}...: the file "
            f"was altered, or "
            f"another PyTorch draws other numbers (here {torch.__version__}, there "
            f"{ticket.document['environment']['torch']})"
        )
    return start


def apply_masks(ticket: Ticket, module: nn.Module) -> None:
    """Sets the module's pruned weights to zero, in place.

    Raises:
        ValueError: if the module lacks a parameter that the ticket prunes, or has it in another shape.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    check_fit(ticket, {name: tuple(value.shape) for name, value in parameters.items()})
    with torch.no_grad():
        for name, mask in ticket.masks.items():
            parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)


def check_fit(ticket: Ticket, shapes: dict[str, tuple[int, ...]]) -> None:
    """Checks that parameters of these shapes can take the ticket's masks.

    Raises:
        ValueError: if one is missing or has another shape.
    """
    for name, mask in ticket.masks.items():
        if name not in shapes:
            raise ValueError(
                f"the ticket is for another architecture ({ticket.document['model']['name']}): it prunes "
                f"{name!r}, which is "
                f"not among {', '.join(shapes)}"
            )
        if shapes[name] != tuple(mask.shape):
            raise ValueError(
                f"the ticket is for another architecture ({ticket.document['model']['name']}): its {name!r} has shape "
                f"{tuple(mask.shape)}, here it is {shapes[name]}"
            )
