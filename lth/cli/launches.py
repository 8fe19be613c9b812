"""`lth status`, `lth cancel`, `lth logs`: jobs that were given to a cluster."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth.cli.errors import CommandError
from lth.cli.options import Flag
from lth.config import check_choice

if TYPE_CHECKING:
    from lth.launch.cluster import Launch
    from lth.launch.cluster.scheduler import State


def status(id: str | None = None, /, *, store: Path = Path("lth-store"), json_: Flag = False) -> int:
    """Show the launches of a store and how far they are; of one launch, each part.

    Args:
        id: of a launch, or its beginning [default: all].
        store: folder of results.
        json_: print JSON in place of the table.
    """
    from lth.launch.cluster import launches

    wanted = launches(store) if id is None else [_launch(id, store)]
    if id is None and not wanted:
        print(f"The store {store} holds no launches. `lth run FILE --launch slurm` makes one.")
        return 0
    documents = [_document(launch) for launch in wanted]
    if json_:
        print(json.dumps(documents if id is None else documents[0], indent=1))
        return 0
    if id is not None:
        _print_parts(documents[0])
        return 0
    rows = [("LAUNCH", "BY", "PARTS DONE", "JOBS DONE", "CLUSTER", "RESULTS", "CREATED")]
    for each in documents:
        parts = each["parts"]
        rows.append(
            (
                each["id"],
                each["by"],
                f"{sum(part['done'] == part['jobs'] for part in parts)}/{len(parts)}",
                f"{sum(part['done'] for part in parts)}/{sum(part['jobs'] for part in parts)}",
                _counted([part["state"] for part in parts]),
                each["end"],
                each["created"].replace("T", " ")[:16],
            )
        )
    _print_table(rows)
    return 0


def cancel(id: str, /, *, store: Path = Path("lth-store")) -> int:
    """Take the jobs of a launch back. What is done, and snapshots of what was begun, are kept.

    Args:
        id: of a launch, or its beginning.
        store: folder of results.
    """
    from lth.launch.cluster import SCHEDULERS

    launch = _launch(id, store)
    assert launch.profile.launch is not None
    if not launch.jobs:
        raise CommandError(f"launch {launch.id} was never submitted: there is nothing to cancel")
    scheduler = SCHEDULERS.pick(launch.profile.launch)
    for role in ("end", "parts"):  # the last first: all that it waits for is the end of the others
        if role in launch.jobs:
            scheduler.cancel(launch.jobs[role])
    print(f"Cancelled  {launch.id} (jobs {', '.join(launch.jobs.values())}); what is done is kept")
    return 0


def logs(id: str, /, *, part: int | None = None, lines: int = 40, store: Path = Path("lth-store")) -> int:
    """Show the end of a part's log; without a part, of the job that writes results, or of parts that are not done.

    Args:
        id: of a launch, or its beginning.
        part: its number, from 1.
        lines: how many lines.
        store: folder of results.
    """
    from lth.launch.cluster.run import log_tail

    launch = _launch(id, store)
    if part is not None and not 1 <= part <= len(launch.parts):
        raise CommandError(f"part {part}: the launch {launch.id} has parts 1 to {len(launch.parts)}")
    document = _document(launch)
    unfinished = [each["part"] for each in document["parts"] if each["done"] < each["jobs"]]
    wanted: list[int | None] = [part] if part is not None else [*unfinished[:5], None]
    shown = [(launch.log(each), log_tail(launch.log(each), lines)) for each in wanted]
    if not any(text for _, text in shown):
        raise CommandError(f"launch {launch.id} has no log yet: `lth status {launch.id}` tells what waits")
    for path, text in shown:
        if text:
            print(f"== {path}\n{text}\n")
    return 0


def _launch(name: str, store: Path) -> "Launch":
    """Return the one launch whose ID starts with a name."""
    from lth.launch.cluster import launches

    found = launches(store)
    fitting = [launch for launch in found if launch.id.startswith(name)]
    if len(fitting) == 1 or (exact := [each for each in fitting if each.id == name]):
        return fitting[0] if len(fitting) == 1 else exact[0]
    if fitting:
        raise CommandError(f"{name!r} is short for several launches: {', '.join(each.id for each in fitting)}")
    if not found:
        raise CommandError(f"the store {store} holds no launches: name another with --store")
    try:
        check_choice("launch", name, [launch.id for launch in found])
    except ValueError as error:
        raise CommandError(f"{error}. `lth status` lists them") from error
    raise AssertionError("a known launch was looked for and not found")


def _document(launch: "Launch") -> dict[str, Any]:
    """Return how far a launch is: what the store says, then what the cluster says."""
    from lth.launch.cluster import SCHEDULERS
    from lth.launch.cluster.scheduler import SchedulerError
    from lth.lineage import Store
    from lth.lineage.begun import steps_begun

    assert launch.profile.launch is not None
    store, states, unknown = Store(launch.running.store), dict[str, dict[int, "State"]](), ""
    scheduler = SCHEDULERS.pick(launch.profile.launch)
    try:
        states = {role: scheduler.states(number) for role, number in launch.jobs.items()}
    except SchedulerError as error:
        unknown = str(error)
    parts = []
    for number, part in enumerate(launch.parts, 1):
        done = sum(store.folder(key).is_dir() for key in part.jobs)
        begun = steps_begun(part.jobs, store) if done < len(part.jobs) else {}
        note = _note(launch.folder / "parts" / f"{number}.json")
        parts.append(
            {
                "part": number,
                "done": done,
                "jobs": len(part.jobs),
                "begun": sorted(begun.values()),
                "starts": note.get("starts", 0),
                "host": note.get("host", ""),
                **_state(states.get("parts", {}).get(number), done == len(part.jobs), note, is_known=not unknown),
            }
        )
    results = [store.study_folder(each.id) / "results.json" for each in launch.studies]
    ended = sum(path.exists() for path in results)
    end = next(iter(states.get("end", {}).values()), None)
    return {
        "id": launch.id,
        "by": launch.profile.launch,
        "created": launch.created,
        "studies": [each.id for each in launch.studies],
        "jobs": launch.jobs,
        "parts": parts,
        "end": "written" if ended == len(results) else end.word.lower() if end else f"{ended} of {len(results)}",
        "cluster": unknown,
    }


def _state(state: "State | None", is_done: bool, note: Mapping[str, Any], *, is_known: bool) -> dict[str, str]:
    if state is not None:
        return {"state": state.word.lower(), "why": state.reason}
    if is_done:
        return {"state": "done", "why": ""}
    if not is_known:
        return {"state": "unknown", "why": ""}
    return {"state": "ended" if note else "not started", "why": "see its log" if note else ""}


def _note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _print_parts(document: dict[str, Any]) -> None:
    jobs = ", ".join(f"{role} {number}" for role, number in document["jobs"].items()) or "not submitted"
    print(f"Launch {document['id']} by {document['by']} ({jobs}); results: {document['end']}")
    if document["cluster"]:
        print(f"The cluster does not answer: {document['cluster']}")
    rows = [("PART", "DONE", "BEGUN AT STEP", "STARTS", "HOST", "CLUSTER")]
    for part in document["parts"]:
        why = f" ({part['why']})" if part["why"] else ""
        begun = ", ".join(f"{step:,}" for step in part["begun"][:4]) or "-"
        rows.append(
            (
                str(part["part"]),
                f"{part['done']}/{part['jobs']}",
                begun,
                str(part["starts"]),
                part["host"] or "-",
                f"{part['state']}{why}",
            )
        )
    _print_table(rows)


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
