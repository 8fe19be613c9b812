"""`lth show`: one study or one result of the store."""

import json
from pathlib import Path
from typing import Any

from lth.cli.errors import CommandError
from lth.cli.options import Json
from lth.cli.studies import find_study, unknown_id


def show(id: str, /, *, store: Path = Path("lth-store"), json_: Json = False) -> int:
    """Show a study (its verdict, levels and settings) or a single result (what determines it, how it came about).

    Args:
        id: ID of a study, or key of a result as a report's derivation lists them; a beginning is enough.
        store: folder of results.
        json_: print JSON.
    """
    study = find_study(id, store)
    if study is not None:
        _show_study(study, json_)
        return 0
    keys = sorted(path.name for path in store.glob("objects/*/*") if path.name.startswith(id))
    if not keys:
        raise unknown_id(id, store)
    if len(keys) > 1:
        raise CommandError(f"{id!r} is short for {len(keys)} results, such as {keys[0][:12]} and {keys[1][:12]}")
    _show_result(keys[0], store, json_)
    return 0


def _show_study(study: dict[str, Any], as_json: bool) -> None:
    path = study["folder"] / "results.json"
    if as_json:
        print(
            path.read_text()
            if path.exists()
            else json.dumps({key: study[key] for key in ("id", "created", "config")}, indent=1)
        )
        return
    print(f"Study {study['id']}, {study['created'].replace('T', ' ')}")
    if path.exists():
        from lth.report import read_study, words

        results = read_study(study["folder"]).results
        for sentence in results["verdict"]["sentences"]:
            print(f"  {sentence}")
        print()
        _print_levels(results)
        print(f"\nEngine    {words.engines(results)}")
    else:
        print("  not finished: run the same find-ticket command again")
    print("\nSettings")
    for name, value in study["config"].items():
        print(f"  {name:18} {value}")


def _print_levels(results: Any) -> None:
    arms = [arm for arm in ("ticket", "sparsified", "reinit", "random") if arm in results["levels"][0]["arms"]]
    print(f"  {'level':>5} {'kept %':>7} " + " ".join(f"{arm + ' %':>12}" for arm in arms) + f" {'early stop':>11}")
    dense = results["dense"]
    print(
        f"  {0:5} {100.0:7.1f} {_percent(dense):>12} " + " " * 13 * (len(arms) - 1) + f"{_iteration(dense):>11}   dense"
    )
    for level in results["levels"]:
        cells = " ".join(f"{_percent(level['arms'][arm]):>12}" for arm in arms)
        print(f"  {level['level']:5} {100 * level['density']:7.1f} {cells} {_iteration(level['arms']['ticket']):>11}")


def _percent(measures: Any) -> str:
    mean = measures["test_accuracy"]["mean"]
    return "diverged" if mean is None else f"{100 * mean:.2f}"


def _iteration(measures: Any) -> str:
    mean = measures["early_stop_iteration"]["mean"]
    return "-" if mean is None else f"{mean:,.0f}"


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
