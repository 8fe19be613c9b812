"""`lth status`, `lth cancel`, `lth logs`: jobs that were given to a cluster."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lth.cli.errors import CommandError
from lth.cli.options import Flag
from lth.cli.tables import print_rows

if TYPE_CHECKING:
    from lth.launch.cluster import LaunchStatus


def status(id: str | None = None, /, *, store: Path = Path("lth-store"), json_: Flag = False) -> int:
    """Show the launches of a store and how far they are; of one launch, each part.

    A launch whose manifest is damaged is named, and the exit code is 1.

    Args:
        id: of a launch, or its beginning [default: all].
        store: folder of results.
        json_: print JSON in place of the table.
    """
    from lth.launch.cluster import damaged_launches, find_launch, launches, status_of

    wanted = launches(store) if id is None else [find_launch(id, store)]
    damaged = damaged_launches(store) if id is None else {}
    for name, wrong in damaged.items():
        print(f"lth: launch {name}: {wrong}", file=sys.stderr)
    if id is None and not wanted and not damaged:
        print(f"The store {store} holds no launches. `lth run FILE --launch slurm` makes one.")
        return 0
    documents = [status_of(launch) for launch in wanted]
    if json_:
        print(json.dumps(documents if id is None else documents[0], indent=1))
        return 1 if damaged else 0
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
    print_rows(rows)
    return 1 if damaged else 0


def cancel(id: str, /, *, store: Path = Path("lth-store")) -> int:
    """Take the jobs of a launch back. What is done, and snapshots of what was begun, are kept.

    Args:
        id: of a launch, or its beginning.
        store: folder of results.
    """
    from lth.launch.cluster import SCHEDULERS, find_launch

    launch = find_launch(id, store)
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
    from lth.launch.cluster import find_launch, status_of
    from lth.launch.cluster.run import log_tail

    launch = find_launch(id, store)
    if part is not None and not 1 <= part <= len(launch.parts):
        raise CommandError(f"part {part}: the launch {launch.id} has parts 1 to {len(launch.parts)}")
    unfinished = [each["part"] for each in status_of(launch)["parts"] if each["done"] < each["jobs"]]
    wanted: list[int | None] = [part] if part is not None else [*unfinished[:5], None]
    shown = [(launch.log(each), log_tail(launch.log(each), lines)) for each in wanted]
    if not any(text for _, text in shown):
        raise CommandError(f"launch {launch.id} has no log yet: `lth status {launch.id}` tells what waits")
    for path, text in shown:
        if text:
            print(f"== {path}\n{text}\n")
    return 0


def _print_parts(document: "LaunchStatus") -> None:
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
    print_rows(rows)


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
