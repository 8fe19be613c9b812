"""`lth compact`: a ticket's network, physically smaller."""

import json
from pathlib import Path
from typing import Any

from lth.cli.errors import CommandError, UsageError
from lth.cli.options import Json


def compact(
    file: Path,
    /,
    *,
    out: Path,
    store: Path | None = None,
    checkpoint: Path | None = None,
    model: str | None = None,
    input_shape: str | None = None,
    drop_inputs: Json = False,
    onnx: Json = False,
    batch_size: int = 64,
    json_: Json = False,
) -> int:
    """Make a ticket's network physically smaller: units, filters, channels and attention heads that the masks made dead
    go, and the outputs stay equal.

    Writes DIR/compact.safetensors and DIR/compact.json, and prints what was gained. Times are medians of one thread on
    this machine. In Python, lth.launch.export.load_compact(module, path) loads it into a fresh module of the original
    class.

    Args:
        file: a .ticket.safetensors file.
        out: the folder to write into.
        store: the store in which the ticket was trained: its trained weights are taken from there. Without it and
            without a checkpoint, the ticket's starting weights.
        checkpoint: safetensors file of weights of the same architecture, instead.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
        input_shape: shape of one example, as 3,32,32, where the ticket does not say it.
        drop_inputs: let layers read only those inputs that a weight is left for.
        onnx: also write DIR/compact.onnx, and compare it with onnxruntime if that is installed.
        batch_size: examples in the batch that is timed.
        json_: print JSON in place of the table.
    """
    import torch

    from lth.launch.export import NAMES, export_onnx, save_compact
    from lth.lineage import read_ticket
    from lth.models import MODELS
    from lth.sparsity.compact import compact as make_compact
    from lth.sparsity.compact import masked_copy, real_costs

    if batch_size < 1:
        raise UsageError(f"--batch-size {batch_size} is no batch: give 1 or more")
    ticket = read_ticket(file)
    shape = _input_shape(ticket, input_shape)
    module = _network(file, ticket, store, checkpoint, model)
    dtype = next((value.dtype for value in module.parameters()), torch.float32)
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn((batch_size, *shape), generator=generator).to(dtype)
    found = make_compact(module, ticket.masks, shape, drop_inputs=drop_inputs)
    networks = {"before": masked_copy(module, ticket.masks), "after": found.module}
    costs = real_costs(networks, (batch,))
    rows = {
        "parameters": (costs["before"].parameters, costs["after"].parameters),
        "FLOPs": (costs["before"].flops, costs["after"].flops),
        "bytes": (costs["before"].bytes, costs["after"].bytes),
        "ms": (costs["before"].milliseconds, costs["after"].milliseconds),
    }
    notes = {
        "ticket": ticket.document["key"],
        "model": ticket.document["model"],
        "checkpoint": None if checkpoint is None else checkpoint.name,
        "weights": _origin(store, checkpoint),
        "input_shape": list(shape),
        "batch_size": batch_size,
        "cost": {name: {"before": before, "after": after} for name, (before, after) in rows.items()},
    }
    files = save_compact(found, out, notes)
    difference = None
    if onnx:
        files.append(out / NAMES[2])
        difference = export_onnx(found.module, (batch[:1].expand(2, *shape).contiguous(),), files[-1])
    if json_:
        document = {**notes, "files": [str(path) for path in files], "left_alone": found.left_alone}
        document |= {"largest_difference": found.largest_difference, "onnx_difference": difference}
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    print(f"Weights    {notes['weights']}")
    _print_table(rows, batch_size)
    print(f"Outputs differ from the masked network's by {found.largest_difference:.1e} at most")
    for place, reason in found.left_alone.items():
        print(f"Left alone {place}: {reason}")
    for path in files:
        print(f"Wrote      {path}")
    arguments = ", ".join(f"{name}={value!r}" for name, value in ticket.model.arguments.items())
    made = f"MODELS[{ticket.model.name!r}].make({arguments})" if ticket.model.name in MODELS else f"make({arguments})"
    print(f"In Python  lth.launch.export.load_compact({made}, {str(files[0])!r})")
    if onnx:
        compared = "onnxruntime is not installed, so it was not run" if difference is None else f"{difference:.1e}"
        print(f"ONNX       difference to PyTorch: {compared}")
    return 0


def _origin(store: Path | None, checkpoint: Path | None) -> str:
    if checkpoint is not None:
        return f"of the checkpoint {checkpoint.name}"
    return (
        "as the ticket was trained" if store else "the ticket's starting ones, not trained; --store names trained ones"
    )


def _network(file: Path, ticket: Any, store: Path | None, checkpoint: Path | None, model: str | None) -> Any:
    """The ticket's module with the weights of the checkpoint, else of the store, else the starting ones."""
    from lth.lineage import Sources, Store, check_fit, starting_weights
    from lth.lineage.files import weights_from_bytes
    from lth.models import MODELS, resolve_factory

    name = ticket.model.name
    if name not in MODELS and model is None:
        raise CommandError(
            f"{file} is a ticket of {name!r}, whose code is none of lth's: name it with --model package.module:function"
        )
    sources = Sources() if model is None else Sources(models={name: resolve_factory(model)})
    module = sources.module(ticket.model)
    if store is not None and checkpoint is None:
        found = Store(store)
        if not found.has(ticket.trained):
            raise CommandError(
                f"the store {store} does not hold this ticket's training ({ticket.document['key'][:12]}): name the one "
                "in which it was found, or a --checkpoint"
            )
        weights = found.read_weights(ticket.trained)
    elif checkpoint is None:
        weights = starting_weights(ticket, sources)
    else:
        try:
            weights = weights_from_bytes(checkpoint.read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot read {checkpoint}: {getattr(error, 'strerror', None) or error}") from error
        check_fit(ticket, {key: tuple(value.shape) for key, value in weights.items()})
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CommandError(f"{checkpoint or file} does not fit the model {name!r}: {reason}") from error
    return module


def _input_shape(ticket: Any, given: str | None) -> tuple[int, ...]:
    text = given
    if text is None:
        found = ticket.model.arguments.get("input_shape")
        if found is None:
            raise CommandError(
                f"the ticket of {ticket.model.name!r} does not say the shape of an example: give it with "
                "--input-shape, as 3,32,32"
            )
        return tuple(found)
    try:
        shape = tuple(int(size) for size in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UsageError(f"--input-shape {text!r} is no shape: give the sizes of one example, as 3,32,32")
    return shape


def _print_table(rows: dict[str, tuple[float, float]], batch_size: int) -> None:
    print(f"{'':22} {'before':>14} {'after':>14} {'ratio':>8}")
    for name, (before, after) in rows.items():
        label = f"ms for {batch_size} examples" if name == "ms" else name
        first, second = (f"{value:,.3f}" if name == "ms" else f"{value:,}" for value in (before, after))
        ratio = f"{before / after:.2f}x" if after else ""
        print(f"{label:22} {first:>14} {second:>14} {ratio:>8}")
