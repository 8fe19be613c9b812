"""`lth ls`: what the store holds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.analysis.notes import StudyNote
from lth.cli.options import Flag
from lth.cli.stored import study_documents
from lth.cli.tables import print_rows
from lth.config.json_text import parse_json
from lth.config.text import last_part


def ls(*, store: Path = Path("lth-store"), json_: Flag = False) -> int:
    """List the studies in the store, oldest first: what they are, how far they are, what they found.

    Args:
        store: folder of results.
        json_: print JSON in place of the table.
    """
    rows = [_row(note, store) for note in study_documents(store)]
    if json_:
        print(json.dumps(rows, indent=1))
        return 0
    if not rows:
        print(f"The store {store} holds no studies. `lth find-ticket` makes one.")
        return 0
    header = ("ID", "STUDY", "MODEL", "DATA", "REPLICATES", "DONE", "ENGINE", "VERDICT", "CREATED")
    print_rows([header, *([str(row[name.lower()]) for name in header] for row in rows)])
    return 0


def _row(note: StudyNote, store: Path) -> dict[str, Any]:
    config, keys = note["config"], note["keys"]
    results = _results(note["folder"] / "results.json")
    begun = {} if results else _begun(note["jobs"], store)
    done = sum((store / "objects" / key[:2] / key).is_dir() for key in keys)
    return {
        "id": note["id"],
        "study": note["study"],
        "model": last_part(config["model"]),
        "data": config["data"],
        "replicates": config["replicates"],
        "done": f"{done}/{len(keys)}",
        "begun": begun,
        "engine": "+".join((results or {}).get("engines", {})) or "-",
        "verdict": _verdict(results, begun),
        "created": note["created"].replace("T", " ")[:16],
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
