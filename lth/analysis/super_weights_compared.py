"""Documents of several models side by side: whether the same weights spike in them, and what zeroing them does."""

from collections.abc import Mapping
from pathlib import Path

from lth.analysis.super_weights import Estimate, SuperWeightsDocument, leading, read_super_weights


def compared(folders: Mapping[str, Path | str]) -> str:
    """Return a table of the candidates of several models, those that any of them has, as text.

    For a base model and what was made of it by further training: a row for each coordinate and model, with the value of
    the weight, its verdict, and how many times zeroing it multiplies perplexity, with the interval over blocks of text.

    Args:
        folders: by the name of the model, those that `lth superweights` wrote.
    Raises:
        ValueError: if a document cannot be read, or perplexities were measured by different protocols.
    """
    documents = {name: read_super_weights(Path(folder)) for name, folder in folders.items()}
    _check_protocols(documents)
    rows = [("coordinate", "model", "value", "verdict", "perplexity, zeroed / as it is")]
    coordinates = {
        each["coordinate"]: None for document in documents.values() for each in leading(document["candidates"])
    }
    for coordinate in coordinates:
        rows += [(coordinate, name, *_cells(document, coordinate)) for name, document in documents.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _check_protocols(documents: Mapping[str, SuperWeightsDocument]) -> None:
    protocols = {
        name: (protocol["name"], protocol["digest"], protocol["tokens"], protocol["words"])
        for name, document in documents.items()
        if (protocol := document["protocol"]) is not None
    }
    if len(set(protocols.values())) > 1:
        words = "; ".join(
            f"{name}: {by} on {tokens:,} tokens of {digest[:12]}" for name, (by, digest, tokens, _) in protocols.items()
        )
        raise ValueError(f"perplexities are by different protocols or texts, so they do not compare: {words}")


def _cells(document: SuperWeightsDocument, coordinate: str) -> tuple[str, str, str]:
    candidate = next((each for each in document["candidates"] if each["coordinate"] == coordinate), None)
    if candidate is None:
        return "", "no candidate", ""
    zeroed = [
        row["ratio"]
        for row in document["interventions"]
        if (row["coordinate"], row["group"], row["kind"], row["factor"]) == (coordinate, "weight", "scale", 0)
    ]
    return f"{candidate['value']:.4g}", candidate["verdict"], _shown(zeroed[0]) if zeroed else "not measured"


def _shown(ratio: Estimate) -> str:
    if ratio["value"] is None:
        return "not finite"
    ends = "" if ratio["low"] is None else f" [{ratio['low']:.3g}, {ratio['high']:.3g}]"
    return f"{ratio['value']:.3g}{ends}"
