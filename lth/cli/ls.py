"""`lth ls`: what the store holds."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.analysis.labels import Labels, read_labels
from lth.analysis.notes import StudyNote
from lth.analysis.settings_apart import setting_words, settings_apart
from lth.cli.errors import settings_as_usage
from lth.cli.options import Flag, Several
from lth.cli.stored import study_documents
from lth.cli.tables import fitted, print_rows, row_lines, table_width
from lth.config import check_choice, flat_fields
from lth.config.json_text import parse_json
from lth.config.text import last_part, split_each
from lth.studies import STUDIES

COLUMNS = (
    "ID", "NAME", "STUDY", "TAGS", "MODEL", "DATA", "REPLICATES", "DONE", "ENGINE", "VERDICT", "CREATED", "SETTINGS",
)  # fmt: skip

EXPENDABLE = ("ENGINE", "CREATED", "TAGS", "MODEL", "DATA", "REPLICATES")
"""Columns that a narrow terminal goes without, the first that goes first."""

CUT = ("VERDICT", "NAME", "STUDY")
"""Columns that are cut where this is not enough."""


def ls(*, study: str | None = None, tag: Several = None, store: Path = Path("lth-store"), json_: Flag = False) -> int:
    """List the studies in the store, oldest first: what they are, how far they are, what they found.

        lth ls --tag paper --study find-ticket

    In a narrow terminal some columns are left out; --json has all of them.

    Args:
        study: of this kind alone, as find-ticket.
        tag: with this tag alone; with several tags, with each of them.
        store: folder of results.
        json_: print JSON in place of the table.
    """
    tags = split_each(tag or ())
    notes = study_documents(store)
    if study is not None:
        with settings_as_usage():
            check_choice("study", study, dict.fromkeys([*STUDIES, *(note["study"] for note in notes)]))
    labels = {note["id"]: read_labels(note["folder"]) for note in notes}
    listed = [note for note in notes if study in (None, note["study"]) and {*tags} <= {*labels[note["id"]].tags}]
    known = {name: {each: default for each, _, default, _ in flat_fields(STUDIES[name].settings)} for name in STUDIES}
    apart = settings_apart(listed, known)
    rows = [_row(note, labels[note["id"]], own, store) for note, own in zip(listed, apart, strict=True)]
    if json_:
        print(json.dumps(rows, indent=1))
        return 0
    if rows:
        _print(rows)
    elif notes:
        print(f"None of the {len(notes)} studies of the store {store} is such a one: `lth ls` lists them.")
    else:
        print(f"The store {store} holds no studies. `lth find-ticket` makes one.")
    return 0


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table; in a terminal that is too narrow for the settings, they stand on lines of their own."""
    texts = [{title: _text(row[title.lower()]) for title in COLUMNS} for row in rows]
    empty = [title for title in ("NAME", "TAGS", "SETTINGS") if not any(text[title] for text in texts)]
    titles = [title for title in COLUMNS if title not in empty]
    table = [titles, *([text[title] for title in titles] for text in texts)]
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or table_width(short := fitted(table, width, EXPENDABLE)) <= width:
        print_rows(short if sys.stdout.isatty() else table)
        return
    table = [row[:-1] for row in table] if "SETTINGS" in titles else table
    lines = row_lines(fitted(table, width, EXPENDABLE, CUT))
    indent = " " * (len(texts[0]["ID"]) + 2)
    for line, settings in zip(lines, ["", *(text["SETTINGS"] for text in texts)], strict=True):
        print(line)
        for part in textwrap.wrap(settings, width - len(indent), break_on_hyphens=False):
            print(f"{indent}{part}")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return setting_words(value)
    return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _row(note: StudyNote, labels: Labels, settings: dict[str, Any], store: Path) -> dict[str, Any]:
    config, keys = note["config"], note["keys"]
    results = _results(note["folder"] / "results.json")
    begun = {} if results else _begun(note["jobs"], store)
    done = sum((store / "objects" / key[:2] / key).is_dir() for key in keys)
    return {
        "id": note["id"],
        "name": labels.name,
        "study": note["study"],
        "tags": list(labels.tags),
        "model": last_part(config["model"]),
        "data": config["data"],
        "replicates": config["replicates"],
        "done": f"{done}/{len(keys)}",
        "begun": begun,
        "engine": "+".join((results or {}).get("engines", {})) or "-",
        "verdict": _verdict(results, begun),
        "created": note["created"].replace("T", " ")[:16],
        "settings": settings,
        "commands": [each.command for each in labels.commands],
    }


def _begun(keys: Sequence[str], store: Path) -> dict[str, int]:
    """Return where interrupted trainings go on, by key."""
    if not any((store / "work" / key).is_dir() for key in keys):
        return {}
    from lth.lineage import Store  # loads torch: only where something was interrupted
    from lth.lineage.begun import steps_begun

    return steps_begun(keys, Store(store))


def _results(path: Path) -> dict[str, Any] | None:
    """Return the results; None where there are none, and no fields where they are damaged."""
    try:
        results = parse_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return results if isinstance(results, dict) else {}


def _verdict(results: dict[str, Any] | None, begun: Mapping[str, int]) -> str:
    """Return the verdict in a few words; "unfinished", and what is begun, where there are no results."""
    if results is None and begun:
        from lth.launch.words import begun_in_words

        return f"unfinished ({begun_in_words(begun.values())})"
    if results is None:
        return "unfinished"
    verdict = results.get("verdict")
    if verdict is None:
        return "damaged results"
    return str(verdict.get("summary", "made by another version: run it again"))
