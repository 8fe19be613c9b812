"""`lth ticket merge` and `lth ticket compare`: several tickets together."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lth.cli.errors import settings_as_usage
from lth.cli.options import Flag
from lth.cli.tables import Row, print_table


def merge(
    file: Path,
    /,
    *files: Path,
    out: Path,
    rule: str = "union",
    random_union: int | None = None,
    start_from: str | None = None,
    model: str | None = None,
    json_: Flag = False,
) -> int:
    """Merge tickets that grew from the same weights into one, which starts from those weights.

        lth ticket merge A B --out both.ticket.safetensors
        lth ticket merge A B C --rule majority --out three.ticket.safetensors
        lth ticket merge A B --random-union 0 --out control.ticket.safetensors
        lth ticket merge A B --out both.safetensors --start-from bert-base-uncased

    The same weights are those of one seed, or of one pre-trained model: the root of each ticket's derivation, also
    where the ticket was rewound to a later step. The merged ticket was not trained.

    Args:
        file: a .ticket.safetensors file.
        files: one more, or several.
        out: the file to write.
        rule: union; intersection; majority, which keeps what more than half of the tickets keep, so that a tie prunes;
            or difference, what the first alone keeps.
        random_union: unite random masks with as many kept weights in each tensor instead, the control of a union; the
            number gives the draw.
        start_from: file, folder, hub:OWNER/NAME or known name (bert-base-uncased) of the pre-trained weights, where the
            tickets, rewound to a later step or with a head drawn anew, do not hold them.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
        json_: print JSON in place of the table.
    """
    from lth.launch.weights_place import weights_place
    from lth.lineage import merge_tickets
    from lth.models import resolve_factory

    with settings_as_usage():
        ticket = merge_tickets(
            file,
            *files,
            rule=rule,
            out=out,
            random_union=random_union,
            model=None if model is None else resolve_factory(model),
            start_from=None if start_from is None else weights_place(start_from),
        )
    merged = ticket.document["merged"]
    if json_:
        print(json.dumps({"file": str(out), "key": ticket.document["key"], **merged}, indent=1, allow_nan=False))
        return 0
    print(f"Merged     {merged_words(merged).removeprefix(', ')}")
    letters = _print_files([file, *files], merged["tickets"])
    for letter, tensors in zip(letters, merged["not_pruned"], strict=True):
        if tensors:
            print(f"  {letter} does not prune {', '.join(tensors)}: all of it counts as kept there")
    _print_table(_merged_row, merged, letters)
    print(f"Wrote      {out} ({100 * ticket.document['density']:.2f} % of the prunable weights kept)")
    return 0


def compare(
    file: Path,
    other: Path,
    /,
    *,
    store: Path | None = None,
    model: str | None = None,
    json_: Flag = False,
) -> int:
    """Compare two tickets of one architecture: what both keep, beside chance, and how alike their weights point.

        lth ticket compare A B
        lth ticket compare A B --store lth-store   # their trained weights too

    COSINE is of all weights of a tensor, pruned ones as they are; BOTH KEEP of those alone that both tickets keep. The
    columns START say the same of the starting weights.

    Args:
        file: a .ticket.safetensors file.
        other: another one.
        store: the store in which both were trained: trained weights are compared beside the starting ones.
        model: package.module:function of the model, where it is none of lth's. Code named in a file is never run
            unasked.
        json_: print JSON in place of the table.
    """
    from lth.lineage import compare_tickets
    from lth.models import resolve_factory

    document = compare_tickets(file, other, store=store, model=None if model is None else resolve_factory(model))
    if json_:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    letters = _print_files([file, other], document["tickets"])
    same = {True: "the same", False: "different ones", None: "perhaps different ones"}[document["same_theta_0"]]
    print(f"Grown from {same}: {'; '.join(dict.fromkeys(document['theta_0']))}")
    _print_table(_compared_row, document, letters)
    for whose, cosine in document["mean_cosine"].items():
        others = [value for value in document["unpruned"][whose].values() if value is not None]
        more = f"; {sum(others) / len(others):.4f} over {len(others)} unpruned ones" if others else ""
        means = f"{_cosine(cosine['all'])}, where both keep {_cosine(cosine['kept_by_both'])}"
        print(f"Cosine of the {whose} weights, mean over {len(document['tensors'])} tensors: {means}{more}")
    for note in document["notes"]:
        print(f"{note[0].upper()}{note[1:]}")
    return 0


def _print_files(files: list[Path], tickets: list[dict[str, Any]]) -> list[str]:
    """Print which letter stands for which file; return the letters, one for each."""
    letters = [chr(ord("A") + number) if number < 26 else f"T{number + 1}" for number in range(len(files))]
    for letter, file, each in zip(letters, files, tickets, strict=True):
        print(f"  {letter}  {file} (keeps {100 * each['density']:.2f} %)")
    return letters


def _print_table(make_row: Callable[..., Row], document: Mapping[str, Any], letters: list[str]) -> None:
    """Print a row for each tensor and one for all, and what overlap means."""
    tensors = document["tensors"]
    rows = [make_row(name, each, letters) for name, each in {**tensors, "overall": document["overall"]}.items()]
    print()
    print_table(rows, list(tensors), shutil.get_terminal_size((10_000, 24)).columns, "WEIGHTS")
    print("\nOVERLAP is intersection over union; in parentheses what unrelated masks of the same densities would give")


def _merged_row(name: str, counts: Mapping[str, Any], letters: list[str]) -> Row:
    return {
        "TENSOR": name,
        "WEIGHTS": f"{counts['weights']:,}",
        **{letter: f"{size:,}" for letter, size in zip(letters, counts["sizes"], strict=True)},
        "UNION": f"{counts['union']:,}",
        "INTERSECTION": f"{counts['intersection']:,}",
        "OVERLAP": overlap_words(counts),
        "KEPT %": f"{100 * counts['density']:.2f}",
    }


def _compared_row(name: str, counts: Mapping[str, Any], letters: list[str]) -> Row:
    row = {
        "TENSOR": name,
        "WEIGHTS": f"{counts['weights']:,}",
        **{letter: f"{size:,}" for letter, size in zip(letters, counts["sizes"], strict=True)},
        "BOTH": f"{counts['both']:,}",
        "OVERLAP": overlap_words(counts),
    }
    for whose, title in (("trained", ""), ("starting", "START ")):
        if whose in counts["cosine"]:
            cosine = counts["cosine"][whose]
            row[f"{title}COSINE"] = _cosine(cosine["all"])
            row[f"{title}BOTH KEEP"] = _cosine(cosine["kept_by_both"])
    return row


def _cosine(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def merged_words(merged: dict[str, Any]) -> str:
    """Return what a ticket was merged from, as the end of its name."""
    draw = merged["random_union"]
    random = "" if draw is None else f" random masks (draw {draw}) of the sizes of"
    return f", {merged['rule']} of{random} {len(merged['tickets'])} tickets over the same theta_0, {merged['theta_0']}"


def overlap_words(counts: Mapping[str, Any]) -> str:
    return f"{counts['iou']:.3f} ({counts['chance_iou']:.3f})"
