"""`lth show`: one study or one result of the store."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lth.analysis.labels import read_labels, unknown_study
from lth.analysis.notes import StudyNote
from lth.cli.errors import CommandError
from lth.cli.options import Flag
from lth.cli.stored import find_study

if TYPE_CHECKING:
    from lth.analysis.documents import Results


def show(id: str, /, *, store: Path = Path("lth-store"), json_: Flag = False, folder: Path | None = None) -> int:
    """Show a study (its verdict, results and settings) or a single result (what determines it, how it came about).

    Args:
        id: name or ID of a study, or key of a result as a report's derivation lists them; a beginning of an ID or key
            is enough.
        store: folder of results.
        json_: print JSON.
        folder: of an unfinished study, the folder of its data files: what is done so far is shown.
    """
    study = find_study(id, store)
    if study is not None:
        _show_study(study, json_, folder)
        return 0
    keys = sorted(path.name for path in store.glob("objects/*/*") if path.name.startswith(id))
    if not keys:
        raise CommandError(str(unknown_study(id, store)))
    if len(keys) > 1:
        raise CommandError(f"{id!r} is short for {len(keys)} results, such as {keys[0][:12]} and {keys[1][:12]}")
    _show_result(keys[0], store, json_)
    return 0


def _show_study(study: StudyNote, as_json: bool, data: Path | None) -> None:
    path = study["folder"] / "results.json"
    if as_json:
        note = {name: value for name, value in study.items() if name in ("id", "study", "created", "config")}
        document = json.loads(path.read_text()) if path.exists() else note
        print(json.dumps(document | {"labels": asdict(read_labels(study["folder"]))}, indent=1))
        return
    print(*_head_lines(study), sep="\n")
    results = _results_of(study, data)
    if results is not None:
        from lth.launch.words import for_terminal, table_lines
        from lth.report.words import energy

        for sentence in results["verdict"]["sentences"]:
            print(for_terminal(sentence, sys.stdout))
        print("", *table_lines(results, sys.stdout), sep="\n")
        print(f"\nEngine    {', '.join(f'{name} ({count})' for name, count in results['engines'].items())}")
        if "energy" in results:
            print(f"Energy    {energy(results['energy'])}")
    print(*_settings_lines(study, results), sep="\n")


def _settings_lines(study: StudyNote, results: "Results | None") -> list[str]:
    """Return the settings that are set, as the page lists them: those unlike the preset first."""
    from lth.report.words import listed_settings, set_settings

    changed, groups = ({}, {"Settings": set_settings(study["config"])}) if results is None else listed_settings(results)
    lines = []
    for title, fields in {"Settings unlike the preset": changed, **groups}.items():
        lines += ["", title, *(f"  {name:18} {text}" for name, text in fields.items())] if fields else []
    return lines


def _results_of(study: StudyNote, data: Path | None) -> "Results | None":
    """Return the results of a study; of an unfinished one what it shows so far, or None, with a line that says why."""
    if (study["folder"] / "results.json").exists():
        from lth.analysis import read_documents

        return read_documents(study["folder"])[0]
    from lth.launch.stored import load_noted
    from lth.launch.unfinished import unfinished_results
    from lth.lineage import Store

    try:
        return unfinished_results(load_noted(study, data), Store(study["folder"].parent.parent))
    except ValueError as error:
        print(f"Not finished. {error}")
        return None


def _head_lines(study: StudyNote) -> list[str]:
    """Return what a study is called, what it is, and the commands that ran it."""
    labels = read_labels(study["folder"])
    called = f" {labels.name!r}" if labels.name else ""
    lines = [f"Study {study['id']}{called}, {study['study']}, {study['created'].replace('T', ' ')}"]
    lines += [f"Tags      {', '.join(labels.tags)}"] if labels.tags else []
    return lines + [f"Command   {each.command}   ({each.at.replace('T', ' ')[:16]})" for each in labels.commands]


def _show_result(key: str, store: Path, as_json: bool) -> None:
    from lth.lineage import Store

    manifest = Store(store).manifest(key)
    if as_json:
        print(json.dumps(manifest, indent=1))
        return
    print(f"{manifest['node']['kind']} {key}")
    for name, value in manifest["node"]["fields"].items():
        print(f"  {name:18} {value}")
    for title in ("files", "provenance"):
        print(title.capitalize())
        for name, value in manifest[title].items():
            print(f"  {name:18} {value}")
