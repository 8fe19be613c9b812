"""`lth rm`: studies, and results that no study refers to, out of the store."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lth.analysis.labels import read_labels
from lth.analysis.notes import report_folder
from lth.cli.errors import UsageError
from lth.cli.options import Flag
from lth.cli.stored import stored_study
from lth.cli.tables import print_rows

if TYPE_CHECKING:
    from lth.launch.removal import Stored, Unreferenced
    from lth.lineage import Store


def rm(*ids: str, unreferenced: Flag = False, yes: Flag = False, store: Path = Path("lth-store")) -> int:
    """Remove studies from the store, after saying what would be lost and asking.

        lth rm slow-pruning 3f2a
        lth rm --unreferenced   # results that no study refers to

    A study's folder in the store goes; its report and all results stay. Results that no study refers to any more are
    removed by --unreferenced. What is being built is not removed.

    Args:
        ids: names or IDs of studies; a beginning of an ID is enough.
        unreferenced: remove the results that no study refers to.
        yes: do not ask.
        store: folder of results.
    """
    if bool(ids) == unreferenced:
        raise UsageError("name one or more studies (`lth ls` lists them), or give --unreferenced alone")
    from lth.lineage import Store

    return _unreferenced(Store(store), yes) if unreferenced else _studies(ids, Store(store), yes)


def _studies(names: Sequence[str], store: "Store", is_agreed: bool) -> int:
    from lth.launch.removal import check_idle, stored_studies
    from lth.launch.words import for_terminal

    wanted = {stored_study(name, store.root)["id"] for name in names}
    studies = stored_studies(store)
    chosen = [each for each in studies if each.note["id"] in wanted]
    kept = [each for each in studies if each.note["id"] not in wanted]
    for each in chosen:
        check_idle(each, store)
    for each in chosen:
        print(*(for_terminal(line, sys.stdout) for line in _lost(each, kept, store)), sep="\n")
    question = f"Remove {'this study' if len(chosen) == 1 else f'these {len(chosen)} studies'} from {store.root}?"
    if not _is_agreed(question, is_agreed):
        return 0
    for each in chosen:
        check_idle(each, store)
        store.remove(each.note["folder"])
        print(f"Removed    study {each.note['id']}")
    return 0


def _lost(study: "Stored", kept: Sequence["Stored"], store: "Store") -> list[str]:
    """Return what is lost with a study, and what stays, a line each."""
    from lth.analysis.numbers import size_words  # loads torch, which help does without
    from lth.launch.removal import loss_of

    note, loss = study.note, loss_of(study, kept, store)
    name, report = read_labels(note["folder"]).name, report_folder(note["folder"])
    called = f" {name!r}" if name else ""
    words = f"{note['study']} of {note['config'].get('model')} on {note['config'].get('data')}"
    shared = f"{loss.trainings} finished trainings, {loss.own_trainings} of which no other study uses"
    steps = f" and {loss.own_steps:,} steps" if loss.own_steps else ""
    own = f"{size_words(loss.own_bytes)} of results{steps} are this study's alone"
    return [
        f"Study {note['id']}{called}, {words}, {note['created'].replace('T', ' ')[:16]}",
        f"  goes     {note['folder']} ({size_words(loss.bytes)}): {', '.join(loss.files)}",
        *([f"  stays    the report in {report}"] if report else []),
        f"  stays    {shared}: {own}, until `lth rm --unreferenced`",
    ]


def _unreferenced(store: "Store", is_agreed: bool) -> int:
    from lth.launch.removal import remove_unreferenced, unreferenced

    found = unreferenced(store)
    if not found:
        print(f"Studies of the store {store.root} refer to all its results: there is nothing to remove.")
        return 0
    _print_kinds(found)
    print(
        "Those of `lth superweights` and lth.build may be among them; what is removed is made anew when it is needed."
    )
    if _is_agreed(f"Remove {_counted(found)} from {store.root}?", is_agreed):
        print(f"Removed    {_counted(remove_unreferenced(found, store))}")
    return 0


def _print_kinds(found: Sequence["Unreferenced"]) -> None:
    from lth.analysis.numbers import size_words

    sizes: dict[str, list[int]] = defaultdict(list)
    for each in found:
        sizes[each.kind].append(each.bytes)
    rows = [(kind, str(len(own)), size_words(sum(own))) for kind, own in sizes.items()]
    print_rows([("KIND", "RESULTS", "SIZE"), *rows])


def _counted(found: Sequence["Unreferenced"]) -> str:
    from lth.analysis.numbers import size_words

    size = size_words(sum(each.bytes for each in found))
    return f"{len(found)} result{'s' * (len(found) != 1)} that no study refers to ({size})"


def _is_agreed(question: str, is_agreed: bool) -> bool:
    """Ask on a terminal; return the answer.

    Raises:
        UsageError: if there is no terminal to ask on.
    """
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: without a terminal to ask on, --yes agrees")
    with suppress(EOFError):  # Ctrl-D is a no
        if input(f"{question} [y/N] ").strip().lower() in ("y", "yes"):
            return True
    print("Nothing was removed.")
    return False
