"""The ticket file: masks, where they came from, and enough to check every claim in it.

`NAME.ticket.safetensors` holds bit-packed masks by parameter name (`mask/NAME`), the starting weights only where they
cannot be drawn again from a seed (`start/NAME`), and one JSON document: model, seeds, digests, density, scores and
derivation. The derivation ends in the training that the ticket won; that of a merged ticket in its starting weights.
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

from lth.config.json_text import parse_json
from lth.lineage.files import pack_masks, state_digest, unpack_masks, weights_from_bytes, write_file
from lth.lineage.kinds import Combined, Initial, Trained, Zeros
from lth.lineage.nodes import MasksNode, WeightsNode, from_documents, to_documents
from lth.lineage.provenance import environment
from lth.lineage.reader import Reader, tied
from lth.lineage.sources import Sources
from lth.lineage.store import Store
from lth.models import MODELS, Factory, ModelSpec
from lth.sparsity import Masks, State, combine, density, density_by_tensor

FORMAT = "lth.ticket/2"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ticket:
    """A ticket in memory.

    Attributes:
        masks: what it keeps.
        start: its starting weights, if the file holds them; `starting_weights` gives them in any case.
        document: everything else, as JSON values.
    """

    masks: Masks
    start: State | None
    document: dict[str, Any]

    def __repr__(self) -> str:
        return f"Ticket({self.document['key'][:12]}, keeps {100 * self.document['density']:.3g} %)"

    @property
    def scores(self) -> dict[str, float]:
        """What it reached at the end of its training, by `part/metric`; empty if it was not trained."""
        return dict(self.document["scores"].get("own", {}).get("end", {}))

    @property
    def is_trained(self) -> bool:
        """Whether it won a training: a merged ticket did not."""
        return isinstance(self._end, Trained)

    @property
    def trained(self) -> Trained:
        """The training that this ticket won, from its derivation.

        Raises:
            ValueError: if it is a merged ticket.
        """
        node = self._end
        if not isinstance(node, Trained):
            merged = self.document["merged"]
            raise ValueError(
                f"the ticket {node.key[:12]} is the {merged['rule']} of {len(merged['tickets'])} tickets and was not "
                "trained: it has starting weights alone"
            )
        return node

    @property
    def start_node(self) -> WeightsNode:
        """The state that it starts from, as a node."""
        node = self._end
        return node.start if isinstance(node, Trained) else node

    @property
    def masks_node(self) -> MasksNode:
        """Its masks, as a node."""
        return self._end.masks

    @property
    def _end(self) -> Trained | Combined:
        node = from_documents(self.document["derivation"])[self.document["key"]]
        if not isinstance(node, Trained | Combined):
            raise ValueError(f"the ticket's derivation ends in a {node.kind_name}, not in a training or a masked state")
        return node

    @property
    def model(self) -> ModelSpec:
        """The model that it belongs to."""
        return self._end.model

    def sources(self, model: Factory | Sources | None = None) -> Sources:
        """Return what makes the ticket's network.

        Args:
            model: the factory, where it is none of lth's.
        Raises:
            ValueError: if it is missing.
        """
        if isinstance(model, Sources):
            return model
        if model is None and self.model.name not in MODELS:
            raise ValueError(
                f"the ticket is of {self.model.name!r}, whose code is none of lth's and is not run unasked: name it "
                "(model, or --model package.module:function)"
            )
        return Sources({} if model is None else {self.model.name: model})

    def starting_weights(self, model: Factory | Sources | None = None) -> State:
        """Return the weights that the ticket starts from: those in the file, or drawn again from the seed.

        Args:
            model: makes the network, where it is none of lth's and weights must be drawn again: code that a file names
                is never run unasked.
        Raises:
            ValueError: if the model is missing, or their digest is not the ticket's.
        """
        start = self.start
        if start is None:
            combined = self.start_node
            assert isinstance(combined, Combined)
            assert isinstance(combined.kept, Initial)
            module = self.sources(model).module(combined.kept.spec, combined.kept.seed)
            drawn = dict(module.state_dict())
            zeros = {name: torch.zeros_like(drawn[name]) for name in self.masks}
            start = tied(combine(self.masks, drawn, zeros), module)
        found, expected = state_digest(start), self.document["start_digest"]
        if found != expected:
            raise ValueError(
                f"the starting weights have digest {found[:12]}..., the ticket says {expected[:12]}...: the file was "
                f"altered, or another PyTorch draws other numbers (here {torch.__version__}, there "
                f"{self.document['environment']['torch']})"
            )
        return start

    def trained_weights(self, store: str | Path | Store = "lth-store") -> State:
        """Return the weights that the ticket ended with, from the store that it was trained in.

        Raises:
            ValueError: if it is a merged ticket, which was not trained.
            StoreError: if the store does not hold them.
        """
        store = store if isinstance(store, Store) else Store(Path(store))
        return weights_from_bytes(store.read(self.trained, "weights.safetensors"))


def make_ticket(trained: Trained, reader: Reader, scores: dict[str, Any], labels: dict[str, Any]) -> Ticket:
    """Return the ticket of a finished training.

    Args:
        trained: a training under masks.
        reader: holds the store.
        scores: what was measured, as JSON values.
        labels: what to call it (study, level, replicate).
    """
    about = {"labels": labels, "seeds": trained.seeds.model_dump(), "scores": scores}
    return _ticket(trained, trained.start, trained.masks, reader, about)


def make_untrained_ticket(start: Combined, reader: Reader, about: dict[str, Any]) -> Ticket:
    """Return the ticket of masks over weights that nobody trained under them.

    Args:
        start: its starting weights.
        reader: derives them.
        about: further entries of its document.
    """
    return _ticket(start, start, start.masks, reader, {"labels": {}, "seeds": {}, "scores": {}} | about)


def _ticket(end: WeightsNode, start_node: WeightsNode, masks_node: MasksNode, reader: Reader, about: Any) -> Ticket:
    masks, start = reader.masks(masks_node), reader.weights(start_node)
    node = start_node
    is_drawn_again = isinstance(node, Combined) and isinstance(node.kept, Initial) and isinstance(node.pruned, Zeros)
    document = {
        "format": FORMAT,
        "key": end.key,
        "model": end.model.model_dump(mode="json"),
        "shapes": {name: list(mask.shape) for name, mask in masks.items()},
        "density": density(masks),
        "density_by_tensor": density_by_tensor(masks),
        "masks_digest": state_digest(dict(masks)),
        "start_digest": state_digest(start),
        **about,
        "environment": environment(),
        "derivation": to_documents(end),
    }
    return Ticket(masks, None if is_drawn_again else start, document)


def write_ticket(ticket: Ticket, path: Path) -> None:
    """Write the file, all of it or nothing.

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
    """Return the ticket in a file, with its masks checked against their digest.

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
    document = parse_json(text)
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        help_ = "run the search again" if str(found) < FORMAT else "update lth"
        raise ValueError(f"{path} has format {found!r}; this lth reads {FORMAT!r}: {help_}")
    packed = {name.removeprefix("mask/"): value for name, value in tensors.items() if name.startswith("mask/")}
    start = {name.removeprefix("start/"): value for name, value in tensors.items() if name.startswith("start/")}
    try:
        masks = unpack_masks(packed, document["shapes"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}: the file was altered or damaged") from error
    digest, expected = state_digest(dict(masks)), document["masks_digest"]
    if digest != expected:
        raise ValueError(
            f"{path}: the masks have digest {digest[:12]}..., the ticket says {expected[:12]}...: the file was altered "
            "or damaged"
        )
    return Ticket(masks, start or None, document)


def apply_masks(ticket: Ticket, module: nn.Module) -> None:
    """Set the module's pruned weights to zero, in place.

    They do not stay so by themselves: an optimizer with momentum or weight decay moves them again. `lth.guard(module,
    optimizer, ticket.masks)` keeps them.

    Raises:
        ValueError: if the module lacks a parameter that the ticket prunes, or has it in another shape.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    check_fit(ticket, {name: tuple(value.shape) for name, value in parameters.items()})
    with torch.no_grad():
        for name, mask in ticket.masks.items():
            parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)


def check_fit(ticket: Ticket, shapes: dict[str, tuple[int, ...]]) -> None:
    """Check that parameters of these shapes can take the ticket's masks.

    Raises:
        ValueError: if one is missing or has another shape.
    """
    for name, mask in ticket.masks.items():
        if name not in shapes:
            raise ValueError(
                f"the ticket is for another architecture ({ticket.model.name}): it prunes {name!r}, which is not among "
                f"{', '.join(shapes)}"
            )
        if shapes[name] != tuple(mask.shape):
            raise ValueError(
                f"the ticket is for another architecture ({ticket.model.name}): its {name!r} has shape "
                f"{tuple(mask.shape)}, here it is {shapes[name]}"
            )
