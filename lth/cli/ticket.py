"""`lth ticket`: look into a ticket file, check it, use it."""

import json
from pathlib import Path

from cyclopts import App

from lth.cli.errors import CommandError
from lth.cli.options import Json

ticket = App(name="ticket", help="Show, verify or apply a ticket file.")


@ticket.command
def show(file: Path, /, *, json_: Json = False) -> int:
    """Show what a ticket keeps, what it scored beside its controls, and how it came about.

    Args:
        file: a .ticket.safetensors file.
        json_: print its whole document as JSON.
    """
    from lth.lineage import from_documents, in_words, read_ticket

    document = read_ticket(file).document
    if json_:
        print(json.dumps(document, indent=1))
        return 0
    labels, own = document["labels"], document["scores"]["own"]
    print(
        f"Ticket of {document['model']['name']} on {labels['data']}, level {labels['level']}, replicate "
        f"{labels['replicate']}"
    )
    print(f"  keeps {100 * document['density']:.2f} % of the prunable weights")
    for name, density in document["density_by_tensor"].items():
        print(f"    {name:24} {'x'.join(map(str, document['shapes'][name])):>10}  {100 * density:6.2f} %")
    print(
        f"  test accuracy {_percent(own['test_accuracy'])}, lowest validation loss at iteration "
        f"{own['early_stop_iteration']}"
    )
    for arm, interval in document["scores"]["test_accuracy"].items():
        spread = "" if interval["low"] is None else f"  ({_percent(interval['low'])} to {_percent(interval['high'])})"
        print(f"    {arm:8} mean of {len(interval['values'])}: {_percent(interval['mean'])}{spread}")
    print(f"  starting weights: {'drawn again from the seed' if read_ticket(file).start is None else 'in the file'}")
    print("  derivation")
    for key, node in from_documents(document["derivation"]).items():
        print(f"    {key[:8]} {node.kind:10} {in_words(node)}")
    return 0


@ticket.command
def verify(file: Path, /, *, model: str | None = None) -> int:
    """Check what can be checked without training: checksums, density, derivation, starting weights.

    Args:
        file: a .ticket.safetensors file.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
    """
    from lth.lineage import Sources, from_documents, read_ticket, starting_weights
    from lth.models import MODELS, resolve_factory
    from lth.sparsity import density

    found = read_ticket(file)
    print(f"ok  document and masks give their checksums ({found.document['masks_digest'][:12]})")
    kept = density(found.masks)
    if abs(kept - found.document["density"]) > 1e-12:
        raise CommandError(
            f"{file}: the masks keep {kept:.6f} of the weights, the ticket says {found.document['density']:.6f}"
        )
    print(f"ok  the masks keep {100 * kept:.2f} % of the weights")
    nodes = from_documents(found.document["derivation"])
    print(f"ok  the derivation gives its own keys ({len(nodes)} steps, ending in {found.document['key'][:12]})")
    name = found.model.name
    if name not in MODELS and model is None and found.start is None:
        print(f"--  starting weights not checked: name the code of {name!r} with --model package.module:function")
        return 0
    sources = Sources() if model is None else Sources(models={name: resolve_factory(model)})
    starting_weights(found, sources)
    how = "drawn again from the seed" if found.start is None else "in the file"
    print(f"ok  the starting weights, {how}, give their digest ({found.document['start_digest'][:12]})")
    return 0


@ticket.command
def apply(file: Path, /, *, out: Path, checkpoint: Path | None = None, model: str | None = None) -> int:
    """Write a state dict with the ticket's pruned weights at zero, as safetensors.

    Args:
        file: a .ticket.safetensors file.
        out: the file to write.
        checkpoint: safetensors file of a network of the same architecture; without it, the ticket's own starting
            weights.
        model: package.module:function of the model, where it is none of lth's and starting weights must be drawn again.
    """
    import torch

    from lth.lineage import Sources, check_fit, read_ticket, starting_weights, weights_to_bytes, write_file
    from lth.lineage.files import weights_from_bytes
    from lth.models import MODELS, resolve_factory
    from lth.sparsity import combine

    found = read_ticket(file)
    if checkpoint is not None:
        try:
            weights = weights_from_bytes(checkpoint.read_bytes())
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot read {checkpoint}: {getattr(error, 'strerror', None) or error}") from error
        check_fit(found, {name: tuple(value.shape) for name, value in weights.items()})
        zeros = {name: torch.zeros_like(weights[name]) for name in found.masks}
        weights = combine(found.masks, weights, zeros)
    else:
        name = found.model.name
        if name not in MODELS and model is None and found.start is None:
            raise CommandError(
                f"the starting weights of {name!r} are drawn by its code: name it with --model package.module:function"
            )
        weights = starting_weights(
            found, Sources() if model is None else Sources(models={name: resolve_factory(model)})
        )
    write_file(out, weights_to_bytes(weights))
    print(f"Wrote      {out} ({100 * found.document['density']:.2f} % of the prunable weights kept)")
    return 0


def _percent(fraction: float | None) -> str:
    return "none" if fraction is None else f"{100 * fraction:.2f} %"
