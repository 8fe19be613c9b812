"""How far a launch is: what the store says of its parts, and what the cluster says of its jobs."""

from typing import Any, TypedDict

from lth.config.json_text import parse_json
from lth.launch.cluster.launches import Launch
from lth.launch.cluster.scheduler import SchedulerError, State
from lth.launch.cluster.table import SCHEDULERS
from lth.lineage import Store
from lth.lineage.begun import steps_begun


class PartStatus(TypedDict):
    """How far a part is."""

    part: int
    done: int
    jobs: int
    begun: list[int]
    starts: int
    host: str
    state: str
    why: str


class LaunchStatus(TypedDict):
    """How far a launch is; `cluster` is why the scheduler could not be asked."""

    id: str
    by: str
    created: str
    studies: list[str]
    jobs: dict[str, str]
    parts: list[PartStatus]
    end: str
    cluster: str


def status_of(launch: Launch) -> LaunchStatus:
    """Return how far a launch is.

    Raises:
        ValueError: if the numbers of its jobs are lost.
    """
    assert launch.profile.launch is not None
    jobs, scheduler = launch.jobs, SCHEDULERS.pick(launch.profile.launch)
    states, unknown = dict[str, dict[int, State]](), ""
    try:
        states = {role: scheduler.states(number) for role, number in jobs.items()}
    except SchedulerError as error:
        unknown = str(error)
    elements = states.get("parts", {})
    parts = [
        _part_status(launch, number, elements.get(number), is_known=not unknown)
        for number in range(1, len(launch.parts) + 1)
    ]
    store = Store(launch.running.store)
    written = sum((store.study_folder(each.id) / "results.json").exists() for each in launch.studies)
    last = next(iter(states.get("end", {}).values()), None)
    if written == len(launch.studies):
        end = "written"
    else:
        end = last.word.lower() if last else f"{written} of {len(launch.studies)}"
    return {
        "id": launch.id,
        "by": launch.profile.launch,
        "created": launch.created,
        "studies": [each.id for each in launch.studies],
        "jobs": jobs,
        "parts": parts,
        "end": end,
        "cluster": unknown,
    }


def _part_status(launch: Launch, number: int, state: State | None, *, is_known: bool) -> PartStatus:
    part, note, store = launch.parts[number - 1], part_note(launch, number), Store(launch.running.store)
    done = sum(store.folder(key).is_dir() for key in part.jobs)
    word, why = ("unknown", "") if not is_known else ("ended", "see its log") if note else ("not started", "")
    if state is not None:
        word, why = state.word.lower(), state.reason
    elif done == len(part.jobs):
        word, why = "done", ""
    return {
        "part": number,
        "done": done,
        "jobs": len(part.jobs),
        "begun": sorted(steps_begun(part.jobs, store).values()) if done < len(part.jobs) else [],
        "starts": note.get("starts", 0),
        "host": note.get("host", ""),
        "state": word,
        "why": why,
    }


def part_note(launch: Launch, number: int) -> dict[str, Any]:
    """Return what the last start of a part noted; empty where it never started, or the note is damaged."""
    try:
        note = parse_json(launch.note(number).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
