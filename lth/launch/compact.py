"""A ticket's network, physically smaller: which weights it has, what shrinking gains, and the files."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lth.launch.compact_folder import padded_call, padded_network, padding_words, save_folder, token_batch
from lth.lineage import Sources, Store, StoreError, Ticket, check_fit, read_ticket
from lth.lineage.compact_files import NAMES, export_onnx, save_compact
from lth.lineage.files import weights_from_file
from lth.models import Factory, resolve_factory
from lth.models.hugging_face import is_of_transformers
from lth.sparsity import Weights
from lth.sparsity.compact import Compacted, RealCost, compact, masked_copy, real_costs


@dataclass(frozen=True, slots=True, eq=False)
class CompactReport:
    """What became of a ticket's network.

    Attributes:
        compacted: the smaller network, and how it was made.
        costs: parameters, FLOPs, bytes and ms of a batch, each before and after.
        weights: whose weights it has, in words.
        files: what was written.
        notes: the same as JSON values, with what the network was made from.
        speed: how many times as fast it is: median, least and most over the turns, each of which times all.
        folder: of a network of `transformers`: what is zero in the folder that it loads, in words, or why there is
            none; empty for other networks.
        onnx_difference: the largest difference of onnxruntime's outputs; None where it was not run.
    """

    compacted: Compacted
    costs: Mapping[str, tuple[float, float]]
    weights: str
    files: list[Path]
    notes: dict[str, Any]
    speed: tuple[float, float, float]
    folder: tuple[str, ...] = ()
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

    A network of `transformers` is also written in its own class, as `transformers` loads it: config.json and
    model.safetensors, with zeros where one width for all blocks asks for them.

    Args:
        ticket: a ticket, or its file.
        out: the folder to write into.
        store: where the ticket was trained: its trained weights are taken from there. Without it and without a
            checkpoint, its starting weights.
        checkpoint: safetensors file of weights of the same architecture, instead.
        model: the factory, or its `package.module:function`, where it is none of lth's.
        input_shape: of one example, where the ticket does not say it; for a network of `transformers` its number of
            tokens [default: 128].
        drop_inputs: let layers read only those inputs that a weight is left for.
        onnx: also write compact.onnx, and compare it with onnxruntime if that is installed.
        batch_size: examples in the batch that is timed.
    Raises:
        ValueError: if the ticket, the checkpoint or the model do not go together, or a shape or factory is missing.
        StoreError: if the store does not hold the training, or a file cannot be written.
    """
    ticket, folder = ticket if isinstance(ticket, Ticket) else read_ticket(Path(ticket)), Path(out)
    sources = ticket.sources(resolve_factory(model) if isinstance(model, str) else model)
    module = sources.module(ticket.model)
    batch = _batch(ticket, module, batch_size, input_shape)
    weights, words = _weights(ticket, sources, store, checkpoint)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason, origin = " ".join(str(error).split()), checkpoint or "the ticket"
        raise ValueError(f"{origin} does not fit the model {ticket.model.name!r}: {reason}") from error
    compacted, networks, zeros = _networks(module, ticket, batch, drop_inputs)
    costs = real_costs(networks, (batch,))
    notes = {
        "ticket": ticket.document["key"],
        "model": ticket.document["model"],
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "weights": words,
        "input_shape": list(batch.shape[1:]),
        "batch_size": batch_size,
        "cost": _by_name(costs),
        "speed": dict(zip(("median", "least", "most"), _speed(costs, "after"), strict=True)),
        "in_transformers": list(zeros),
    }
    files, difference = save_compact(compacted, folder, notes), None
    if "in transformers" in networks:
        files += save_folder(networks["in transformers"], folder)
    if onnx:
        files.append(folder / NAMES[2])
        example = batch[:1].expand(2, *batch.shape[1:]).contiguous()
        difference = export_onnx(compacted.module, (example,), files[-1])
    pairs = {name: (each["before"], each["after"]) for name, each in notes["cost"].items()}
    return CompactReport(compacted, pairs, words, files, notes, _speed(costs, "after"), zeros, difference)


def _networks(
    module: nn.Module, ticket: Ticket, batch: torch.Tensor, drop_inputs: bool
) -> tuple[Compacted, dict[str, nn.Module], tuple[str, ...]]:
    """Return the compact network; networks before, after and as `transformers` loads it; and what is zero in that."""
    masked = masked_copy(module, ticket.masks)
    if not is_of_transformers(module):
        compacted = compact(module, ticket.masks, tuple(batch.shape[1:]), drop_inputs=drop_inputs)
        return compacted, {"before": masked, "after": compacted.module}, ()
    call = padded_call(module, batch[:4])
    compacted = compact(module, ticket.masks, batch[:4], drop_inputs=drop_inputs, calls=[call])
    networks = {"before": masked, "after": compacted.module}
    try:
        networks["in transformers"], padding = padded_network(masked, compacted, call)
    except ValueError as error:
        return compacted, networks, (f"no folder for transformers: {error}",)
    return compacted, networks, tuple(padding_words(padding))


def _batch(ticket: Ticket, module: nn.Module, batch_size: int, shape: tuple[int, ...] | None) -> torch.Tensor:
    """Return a batch of noise, or of random token ids for a network of `transformers`."""
    if is_of_transformers(module):
        if shape is not None and len(shape) != 1:
            raise ValueError(f"an example of {ticket.model.name!r} is a row of tokens: give its length, as 128")
        return token_batch(module, batch_size, None if shape is None else shape[0])
    shape = shape or _input_shape(ticket)
    dtype = next((value.dtype for value in module.parameters()), torch.float32)
    return torch.randn((batch_size, *shape), generator=torch.Generator().manual_seed(0)).to(dtype)


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


def _by_name(costs: Mapping[str, RealCost]) -> dict[str, dict[str, float]]:
    names = {"parameters": "parameters", "FLOPs": "flops", "bytes": "bytes", "ms": "milliseconds"}
    return {name: {which: getattr(cost, field) for which, cost in costs.items()} for name, field in names.items()}


def _speed(costs: Mapping[str, RealCost], which: str) -> tuple[float, float, float]:
    ratios = [before / after for before, after in zip(costs["before"].turns, costs[which].turns, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)
