"""A ticket's network, physically smaller: which weights it has, what shrinking gains, and the files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lth.lineage import Sources, Store, StoreError, Ticket, check_fit, read_ticket
from lth.lineage.compact_files import NAMES, export_onnx, save_compact
from lth.lineage.files import weights_from_file
from lth.models import Factory, resolve_factory
from lth.sparsity import Weights
from lth.sparsity.compact import Compacted, compact, masked_copy, real_costs


@dataclass(frozen=True, slots=True, eq=False)
class CompactReport:
    """What became of a ticket's network.

    Attributes:
        compacted: the smaller network, and how it was made.
        costs: parameters, FLOPs, bytes and ms of a batch, each before and after.
        weights: whose weights it has, in words.
        files: what was written.
        notes: the same as JSON values, with what the network was made from.
        onnx_difference: the largest difference of onnxruntime's outputs; None where it was not run.
    """

    compacted: Compacted
    costs: Mapping[str, tuple[float, float]]
    weights: str
    files: list[Path]
    notes: dict[str, Any]
    onnx_difference: float | None = None

    @property
    def module(self) -> nn.Module:
        """The smaller network, in evaluation mode."""
        return self.compacted.module


def compact_ticket(
    ticket: Ticket | Path | str,
    out: Path | str,
    *,
    store: Path | str | None = None,
    checkpoint: Path | str | None = None,
    model: Factory | str | None = None,
    input_shape: tuple[int, ...] | None = None,
    drop_inputs: bool = False,
    onnx: bool = False,
    batch_size: int = 64,
) -> CompactReport:
    """Make a ticket's network physically smaller, with equal outputs, and write it.

    Args:
        ticket: a ticket, or its file.
        out: the folder to write into.
        store: where the ticket was trained: its trained weights are taken from there. Without it and without a
            checkpoint, its starting weights.
        checkpoint: safetensors file of weights of the same architecture, instead.
        model: the factory, or its `package.module:function`, where it is none of lth's.
        input_shape: of one example, where the ticket does not say it.
        drop_inputs: let layers read only those inputs that a weight is left for.
        onnx: also write compact.onnx, and compare it with onnxruntime if that is installed.
        batch_size: examples in the batch that is timed.
    Raises:
        ValueError: if the ticket, the checkpoint or the model do not go together, or a shape or factory is missing.
        StoreError: if the store does not hold the training, or a file cannot be written.
    """
    ticket, folder = ticket if isinstance(ticket, Ticket) else read_ticket(Path(ticket)), Path(out)
    shape = input_shape or _input_shape(ticket)
    sources = ticket.sources(resolve_factory(model) if isinstance(model, str) else model)
    module = sources.module(ticket.model)
    weights, words = _weights(ticket, sources, store, checkpoint)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason, origin = " ".join(str(error).split()), checkpoint or "the ticket"
        raise ValueError(f"{origin} does not fit the model {ticket.model.name!r}: {reason}") from error
    dtype = next((value.dtype for value in module.parameters()), torch.float32)
    batch = torch.randn((batch_size, *shape), generator=torch.Generator().manual_seed(0)).to(dtype)
    compacted = compact(module, ticket.masks, shape, drop_inputs=drop_inputs)
    costs = _costs(masked_copy(module, ticket.masks), compacted.module, batch)
    notes = {
        "ticket": ticket.document["key"],
        "model": ticket.document["model"],
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "weights": words,
        "input_shape": list(shape),
        "batch_size": batch_size,
        "cost": {name: {"before": before, "after": after} for name, (before, after) in costs.items()},
    }
    files, difference = save_compact(compacted, folder, notes), None
    if onnx:
        files.append(folder / NAMES[2])
        difference = export_onnx(compacted.module, (batch[:1].expand(2, *shape).contiguous(),), files[-1])
    return CompactReport(compacted, costs, words, files, notes, difference)


def _input_shape(ticket: Ticket) -> tuple[int, ...]:
    shape = ticket.model.arguments.get("input_shape")
    if shape is None:
        raise ValueError(
            f"the ticket of {ticket.model.name!r} does not say the shape of an example: give it with --input-shape, as "
            "3,32,32"
        )
    return tuple(shape)


def _weights(
    ticket: Ticket, sources: Sources, store: Path | str | None, checkpoint: Path | str | None
) -> tuple[Weights, str]:
    """Return the weights of the checkpoint, else of the store, else the starting ones; and whose they are."""
    if checkpoint is not None:
        weights = weights_from_file(Path(checkpoint))
        check_fit(ticket, {name: tuple(value.shape) for name, value in weights.items()})
        return weights, f"of the checkpoint {Path(checkpoint).name}"
    if store is not None:
        held = Store(Path(store))
        if not held.has(ticket.trained):
            raise StoreError(
                f"the store {store} does not hold this ticket's training ({ticket.document['key'][:12]}): name the one "
                "in which it was trained, or a --checkpoint"
            )
        return ticket.trained_weights(held), "as the ticket was trained"
    return ticket.starting_weights(sources), "the ticket's starting ones, not trained; --store names trained ones"


def _costs(before: nn.Module, after: nn.Module, batch: torch.Tensor) -> dict[str, tuple[float, float]]:
    costs = real_costs({"before": before, "after": after}, (batch,))
    names = {"parameters": "parameters", "FLOPs": "flops", "bytes": "bytes", "ms": "milliseconds"}
    return {name: (getattr(costs["before"], field), getattr(costs["after"], field)) for name, field in names.items()}
