"""`lth ticket`: look into a ticket file, check it, use it."""

import json
from pathlib import Path
from typing import Any

from cyclopts import App

from lth.cli.help import FILES, description, with_examples
from lth.cli.options import Flag
from lth.cli.ticket_hub import pull, push
from lth.cli.ticket_sets import compare, merge, merged_words, overlap_words

ticket = App(
    name="ticket",
    help=with_examples(
        "Show, verify, apply, merge, compare, push or pull ticket files.",
        (
            "lth ticket show FILE",
            "lth ticket apply FILE --out weights.safetensors",
            "lth ticket merge A B --out both.ticket.safetensors",
            "lth ticket compare A B --store lth-store",
            "lth ticket push FILE OWNER/NAME --private",
            "lth ticket pull OWNER/NAME",
        ),
    ),
    group=FILES,
)


@ticket.command
def show(file: Path, /, *, json_: Flag = False) -> int:
    """Show what a ticket keeps, what it reached beside its controls, and how it came about.

    Args:
        file: a .ticket.safetensors file.
        json_: print its whole document as JSON.
    """
    from lth.lineage import from_documents, read_ticket

    opened = read_ticket(file)
    document = opened.document
    if json_:
        print(json.dumps(document, indent=1))
        return 0
    merged = document.get("merged")
    print(f"Ticket of {document['model']['name']}{merged_words(merged) if merged else _labels(document['labels'])}")
    print(f"  keeps {100 * document['density']:.2f} % of the prunable weights")
    for name, density in document["density_by_tensor"].items():
        print(f"    {name:24} {'x'.join(map(str, document['shapes'][name])):>10}  {100 * density:6.2f} %")
    if merged:
        for each in merged["tickets"]:
            words = f", {each['merged']} of tickets" if "merged" in each else _labels(each["labels"])
            print(f"  of ticket {each['key'][:12]}{words}, which keeps {100 * each['density']:.2f} %")
        print(f"  overlap {overlap_words(merged['overall'])}, in parentheses by chance; not trained")
    else:
        _print_metrics(document["scores"])
    print(f"  starting weights: {'drawn again from the seed' if opened.start is None else 'in the file'}")
    print("  derivation")
    for key, node in from_documents(document["derivation"]).items():
        print(f"    {key[:8]} {node.kind_name:10} {node.words()}")
    return 0


def _labels(labels: dict[str, Any]) -> str:
    return f" on {labels['data']}, level {labels['level']}, replicate {labels['replicate']}"


def _print_metrics(measured: dict[str, Any]) -> None:
    """Print the ticket's own metric, and beside it the means of its level's arms."""
    from lth.analysis.numbers import show
    from lth.analysis.reading import Measure

    metric = Measure(measured["metric"], better="", unit=measured["unit"], words="")
    best = measured["own"]["best_step"]
    value = show(measured["own"]["end"].get(f"test/{metric.name}"), metric)
    early = "" if best is None else f", best at step {best}"
    print(f"  test {metric.name.replace('_', ' ')} {value}{early}")
    for arm, interval in measured["arms"].items():
        ends = (
            ""
            if interval["low"] is None
            else f"  ({show(interval['low'], metric)} to {show(interval['high'], metric)})"
        )
        print(f"    {arm:8} mean of {len(interval['values'])}: {show(interval['mean'], metric)}{ends}")


@ticket.command
def verify(file: Path, /, *, model: str | None = None) -> int:
    """Check what can be checked without training: checksums, density, derivation, starting weights.

    Args:
        file: a .ticket.safetensors file.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
    """
    from lth.lineage import verify_ticket
    from lth.models import resolve_factory

    for line in verify_ticket(file, None if model is None else resolve_factory(model)):
        print(line)
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

    from lth.lineage import check_fit, read_ticket, weights_to_bytes, write_file
    from lth.lineage.files import weights_from_file
    from lth.models import resolve_factory
    from lth.sparsity import combine

    opened = read_ticket(file)
    if checkpoint is not None:
        weights = weights_from_file(checkpoint)
        check_fit(opened, {name: tuple(value.shape) for name, value in weights.items()})
        zeros = {name: torch.zeros_like(weights[name]) for name in opened.masks}
        weights = combine(opened.masks, weights, zeros)
    else:
        weights = opened.starting_weights(None if model is None else resolve_factory(model))
    write_file(out, weights_to_bytes(weights))
    print(f"Wrote      {out} ({100 * opened.document['density']:.2f} % of the prunable weights kept)")
    return 0


for _command in (merge, compare, push, pull):
    ticket.command(_command, help=description(_command))
