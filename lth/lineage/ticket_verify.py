"""What can be checked of a ticket file without training."""

from collections.abc import Iterator
from pathlib import Path

from lth.lineage.nodes import from_documents
from lth.lineage.ticket import read_ticket
from lth.models import MODELS, Factory
from lth.sparsity import density


def verify_ticket(file: Path, model: Factory | None = None) -> Iterator[str]:
    """Check a ticket file, and give one line for each thing that was checked, as soon as it was.

    Args:
        file: a .ticket.safetensors file.
        model: makes the network, where it is none of lth's: code that a file names is never run unasked.
    Raises:
        ValueError: at the first thing that is wrong.
    """
    ticket = read_ticket(file)
    yield f"ok  document and masks give their checksums ({ticket.document['masks_digest'][:12]})"
    kept = density(ticket.masks)
    if abs(kept - ticket.document["density"]) > 1e-12:
        raise ValueError(
            f"{file}: the masks keep {kept:.6f} of the weights, the ticket says {ticket.document['density']:.6f}"
        )
    yield f"ok  the masks keep {100 * kept:.2f} % of the weights"
    nodes = from_documents(ticket.document["derivation"])
    yield f"ok  the derivation gives its own keys ({len(nodes)} steps, ending in {ticket.document['key'][:12]})"
    name = ticket.model.name
    if name not in MODELS and model is None and ticket.start is None:
        yield f"--  starting weights not checked: name the code of {name!r} with --model package.module:function"
        return
    ticket.starting_weights(model)
    origin = "drawn again from the seed" if ticket.start is None else "in the file"
    yield f"ok  the starting weights, {origin}, give their digest ({ticket.document['start_digest'][:12]})"
