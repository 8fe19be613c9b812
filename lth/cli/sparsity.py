"""`lth sparsity`: what a ticket, a checkpoint or a model folder keeps."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lth.cli.options import Flag
from lth.cli.tables import Row, print_table


def sparsity(
    file: Path,
    /,
    *,
    compare: Path | None = None,
    only: str | None = None,
    never: str | None = None,
    rank_limit: int = 512,
    json_: Flag = False,
) -> int:
    """Show how sparse a network is, tensor by tensor, and name layers without a single weight.

        lth sparsity model.safetensors
        lth sparsity FILE --compare EARLIER

    DEAD OUT and DEAD IN are outputs and inputs without a weight. The
    effective rank says how many directions a matrix uses, the stable rank
    how many it uses strongly. A ticket says what is pruned; in any other
    file zeros count as pruned, and only matrices and convolutions that are
    no embeddings are counted, told by shape and name; --only '*' counts
    embeddings, norms and biases too, and sums up each type.

    Args:
        file: a ticket, another safetensors file, or a Hugging Face model folder. Nothing is ever unpickled.
        compare: an earlier one of the same architecture: overlap, survival and revival beside chance.
        only: PATTERN,... of the tensors to count, in place of the default choice; '*' counts all.
        never: PATTERN,... of tensors that are not counted.
        rank_limit: compute ranks where the shorter side of a matrix is at most this; large ones take long.
        json_: print JSON in place of the tables.
    """
    from lth.lineage.foreign import open_weights, sparsity_document

    document = sparsity_document(
        open_weights(file),
        only=_patterns(only),
        never=_patterns(never),
        rank_limit=rank_limit,
        earlier=None if compare is None else open_weights(compare),
    )
    if json_:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    overall = document["overall"]
    print(
        f"{document['file']} ({document['kind']})\n"
        f"Keeps {_percent(overall)} % of {overall['weights']:,} weights in {overall['tensors']} tensors\n"
    )
    width = shutil.get_terminal_size((10_000, 24)).columns  # a pipe has no width
    names = list(document["tensors"])
    types = {f"all {name}": each for name, each in document["types"].items() if len(document["types"]) > 1}
    every = {**document["tensors"], **types, "overall": overall}
    print_table([_row(name, each) for name, each in every.items()], names, width, "WEIGHTS")
    if compare is not None:
        print(f"\nCompared with {document['compared']['file']} ({document['compared']['kind']})")
        print("In parentheses: what unrelated masks of the same densities would give\n")
        compared = {name: each for name, each in document["tensors"].items() if "compared" in each}
        rows = [_compared_row(name, each) for name, each in (*compared.items(), ("overall", overall))]
        print_table(rows, names, width, "KEPT %")
    print()
    for note in _notes(document):
        print(note)
    return 0


def _patterns(text: str | None) -> list[str]:
    return [pattern.strip() for pattern in (text or "").split(",") if pattern.strip()]


def _row(name: str, tensor: dict[str, Any]) -> Row:
    return {
        "TENSOR": name,
        "SHAPE": "x".join(map(str, tensor["shape"])) or "1" if "shape" in tensor else "",
        "WEIGHTS": f"{tensor['weights']:,}",
        "KEPT %": _percent(tensor),
        "DEAD OUT": _count(tensor["dead_outputs"]),
        "DEAD IN": _count(tensor["dead_inputs"]),
        "EFF. RANK": _number(tensor.get("effective_rank")) if "shape" in tensor else "",
        "STABLE": _number(tensor.get("stable_rank")) if "shape" in tensor else "",
    }


def _compared_row(name: str, tensor: dict[str, Any]) -> Row:
    overlap = tensor["compared"]
    return {
        "TENSOR": name,
        "BEFORE %": f"{100 * overlap['earlier_density']:.2f}",
        "KEPT %": _percent(tensor),
        "OVERLAP": f"{overlap['iou']:.3f} ({overlap['chance_iou']:.3f})",
        "SURVIVED %": f"{100 * overlap['survival']:.2f} ({100 * overlap['chance_survival']:.2f})",
        "REVIVED %": f"{100 * overlap['revival']:.2f} ({100 * overlap['chance_revival']:.2f})",
    }


def _notes(document: dict[str, Any]) -> Iterator[str]:
    from lth.sparsity.metrics import describe_collapse

    compared = document.get("compared")
    if document["collapsed"]:
        yield f"WARNING: {describe_collapse(document['collapsed'])}."
    if not document["has_masks"]:
        yield "Zeros count as pruned: the file has no masks, and a weight that is kept may happen to be zero."
    if compared and not (compared["has_masks"] and document["has_masks"]):
        yield "Without masks on both sides, SURVIVED and REVIVED say which weights stayed and became non-zero."
    if document["input_first"]:
        count = len(document["input_first"])
        yield f"Shapes are output x input; stored as input x output (Hugging Face Conv1D): {count}."
    if document["left_out"]:
        yield f"Not counted: {_by_reason(document['left_out'])}. --only PATTERN,... counts what you choose."
    if compared and compared["missing"]:
        yield f"Not in {compared['file']}: {', '.join(compared['missing'])}."
    if document["note"]:
        yield f"{document['note'][0].upper()}{document['note'][1:]}."
    reasons = [reason for reason in document["no_ranks"].values() if reason != "no weights"]
    if limited := reasons.count("over the limit"):
        yield f"No ranks where the shorter side is over {document['rank_limit']}: {limited}. --rank-limit raises that."
    if broken := [name for name, reason in document["no_ranks"].items() if reason == "NaN or infinity"]:
        yield f"WARNING: NaN or infinity in {', '.join(broken)}."


def _by_reason(reasons: dict[str, str]) -> str:
    """Say how many tensors have each reason, with names where they are few and not the user's own choice."""
    parts = []
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, each in reasons.items() if each == reason]
        are_named = len(names) <= 3 and reason not in ("vector", "not chosen")
        parts.append(f"{len(names)} {reason}" + (f" ({', '.join(names)})" if are_named else ""))
    return ", ".join(parts)


def _percent(tensor: dict[str, Any]) -> str:
    """Return a density with two decimals; 100.00 and 0.00 only where they are exact."""
    kept, weights = tensor["kept"], tensor["weights"]
    percent = 100 * tensor["density"]
    return f"{percent:.2f}" if kept in (0, weights) else f"{min(max(percent, 0.01), 99.99):.2f}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f}"
