"""The page of a search for super weights: one HTML file with its figures beside it as PNG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lth.analysis.super_weights import (
    Candidate,
    Estimate,
    InterventionRow,
    SuperWeightsDocument,
    leading,
    read_super_weights,
)
from lth.analysis.super_weights_words import amount, signed, times, times_range
from lth.report import words
from lth.report.bundle import bundle
from lth.report.figure import Figure
from lth.report.page import filled
from lth.report.pictures import write_pictures
from lth.report.super_weights_figures import super_weights_figures
from lth.report.theme import DARK, LIGHT

MOST_ROWS = 20


def write_super_weights(folder: Path, out: Path | None = None) -> Path:
    """Write report.html and figures/ from the superweights.json in a folder; return the page's path.

    Args:
        folder: with the document.
        out: where the page goes [default: the same folder].
    Raises:
        ValueError: if the document is missing, damaged, or of another version.
    """
    document, script = read_super_weights(folder), bundle()
    drawn = super_weights_figures(document)
    place = Path(out or folder)
    write_pictures(drawn, place, LIGHT.categories)
    path = place / "report.html"
    path.write_text(render_super_weights(document, drawn, script.result()), encoding="utf-8")
    return path


def render_super_weights(document: SuperWeightsDocument, drawn: Sequence[Figure], script: str) -> str:
    """Return the page as text."""
    context = {
        "title": document["verdict"]["title"],
        "name": Path(document["model"]["name"]).name or document["model"]["name"],
        "document": document,
        "tables": _tables(document),
        "protocol": _protocol(document),
        "facts": words.plain_fields(document["model"]["facts"] | {"precision": document["model"]["precision"]}),
        "config": words.plain_fields(document["config"] | {"search": document["search"]}),
        "versions": words.plain_fields(document["environment"]),
    }
    return filled("super_weights.html.jinja", context, drawn, script, [LIGHT.categories, DARK.categories])


def _tables(document: SuperWeightsDocument) -> dict[str, dict[str, Any] | None]:
    """Return the tables of the page, None where empty: columns, and lines of cells (the second part in small print)."""
    first, prompts = leading(document["candidates"]), len(document["prompts"])
    companions = [each for each in document["candidates"] if each not in first]
    tables = {
        "candidates": _candidates(first, prompts),
        "companions": _candidates(companions, prompts),
        "interventions": _interventions(document),
        "known": _known(document),
        "massive": _massive(document),
        "census": _census(document),
    }
    return {name: table if table["lines"] else None for name, table in tables.items()}


def _candidates(candidates: Sequence[Candidate], prompts: int) -> dict[str, Any]:
    columns = (
        "Block, output, input", "Verdict", "Value", "Rank in its matrix", "Share of the output", "Over the channels",
        "Over the blocks", "Prompts", "Round", "Note",
    )  # fmt: skip
    lines = [
        [
            each["coordinate"],
            each["verdict"],
            amount(each["value"]),
            (f"{each['rank']:,}", f"of {each['of']:,}"),
            *(_or_empty(value, _three) for value in (each["share"], each["over_channels"], each["over_blocks"])),
            (str(each["prompts"]), f"of {prompts}"),
            "" if each["round"] is None else str(each["round"]),
            each["label"],
        ]
        for each in candidates
    ]
    return {"columns": columns, "lines": lines, "chosen": [each["verdict"] == "super weight" for each in candidates]}


def _interventions(document: SuperWeightsDocument) -> dict[str, Any]:
    table = document["interventions"]
    columns: dict[str, list[Any]] = {
        "Weight": [row["coordinate"] for row in table],
        "Change": [row["label"] for row in table],
        "Perplexity": [amount(row["perplexity"]["value"]) for row in table],
        "Times the model's": [_ratio(row) for row in table],
        "Loss (nats)": [_difference(row, row["difference"]) for row in table],
        "Blocks worse": [f"{row['worse']} of {row['blocks']}" if row["group"] else "" for row in table],
        "Bits per byte": [_or_empty(row["bits_per_byte"], amount) for row in table],
        "Stop words": [_difference(row, row["stop_words"]) for row in table],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    lines = [list(line) for line in zip(*shown.values(), strict=True)]
    return {"columns": tuple(shown), "lines": lines, "chosen": [not row["group"] for row in table]}


def _ratio(row: InterventionRow) -> tuple[str, str] | str:
    return (times(row["ratio"]["value"]), times_range(row["ratio"])) if row["group"] else ""


def _difference(row: InterventionRow, change: Estimate | None) -> tuple[str, str] | str:
    if not row["group"] or change is None:
        return ""
    between = "" if change["low"] is None else f"{signed(change['low'])} to {signed(change['high'])}"
    return signed(change["value"]), between


def _known(document: SuperWeightsDocument) -> dict[str, Any]:
    agreement = {True: "agrees", False: "differs", None: "not measured"}
    lines = [
        [row["model"], row["coordinate"], row["published"], row["here"], agreement[row["agrees"]], row["source"]]
        for row in document["known"]
    ]
    return {"columns": ("Model", "Coordinate", "Published", "Here", "", "Source"), "lines": lines, "chosen": []}


def _massive(document: SuperWeightsDocument) -> dict[str, Any]:
    lines = [
        [
            str(row["block"]), str(row["prompt"] + 1), (str(row["at"]), row["token"]), str(row["channel"]),
            amount(row["value"]), amount(row["ratio"]),
        ]
        for row in document["massive"][:MOST_ROWS]
    ]  # fmt: skip
    columns = ("Block", "Prompt", "Position", "Channel", "Value", "Over the median")
    return {"columns": columns, "lines": lines, "chosen": []}


def _census(document: SuperWeightsDocument) -> dict[str, Any]:
    largest = sorted(document["census"], key=lambda row: -row["ratio"])[:MOST_ROWS]
    has_experts = any(row["expert"] is not None for row in largest)
    lines = [
        [
            str(row["block"]),
            *([str(row["expert"])] if has_experts else []),
            str(row["channel"]),
            amount(row["maximum"]),
            amount(row["ratio"]),
        ]
        for row in largest
    ]
    columns = ("Block", *(["Expert"] if has_experts else []), "Channel", "Maximum", "Over the median channel")
    return {"columns": columns, "lines": lines, "chosen": []}


def _protocol(document: SuperWeightsDocument) -> dict[str, str]:
    protocol = document["protocol"]
    if protocol is None:
        return {}
    bytes_per_token = protocol["bytes_per_token"]
    fields = {
        "protocol": protocol["name"],
        "in words": protocol["words"],
        "text": f"{protocol['text']} (SHA-256 {protocol['digest'][:12]})",
        "tokens": f"{protocol['tokens']:,} in {protocol['blocks']:,} blocks",
        "first token": "none added" if protocol["bos"] is None else f"{protocol['bos']} before each",
    }
    return fields | ({} if bytes_per_token is None else {"bytes per token": f"{bytes_per_token:.3f}"})


def _or_empty(value: float | None, words_of: Callable[[float], str]) -> str:
    return "" if value is None else words_of(value)


def _three(value: float) -> str:
    return amount(value, 3)
