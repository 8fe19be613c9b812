"""What an unfinished study shows so far, marked as that: no finished study's documents are touched."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

from lth.analysis.documents import Results, TableRow, Verdict
from lth.analysis.facts import studied
from lth.analysis.points import Conclusion, Point
from lth.analysis.reading import num_replicates
from lth.launch.conclude import conclude_results, details_of, jobs_of, unfinished_out, write_documents
from lth.launch.found import Found
from lth.lineage import Job, Reader, Store, Trained, derivation
from lth.studies import StudyType
from lth.studies.prepare import Study

LACKING = (LookupError, StopIteration, ZeroDivisionError)
"""How verdicts fail that look for a measurement which is not done yet; anything else is an error of theirs."""

Tables = dict[str, list[TableRow]]


def write_unfinished(prepared: Study, store: Store) -> Found:
    """Write the results of what is done of a study beside its usual folder; no tickets, and nothing into the store.

    Args:
        prepared: the study.
        store: with what is done of it.
    Raises:
        ValueError: if nothing is done that can be shown.
    """
    folder = unfinished_out(prepared)
    part, reader, results, tables = _concluded(prepared, store)
    write_documents(folder, results, details_of(part, reader, results, tables))
    return Found(results, folder, {})


def unfinished_results(prepared: Study, store: Store) -> Results:
    """Return the results of what is done of a study, with a verdict that says that it is unfinished.

    Raises:
        ValueError: if nothing is done that can be shown.
    """
    _, _, results, _ = _concluded(prepared, store)
    return results


def count_trainings(prepared: Study, store: Store) -> tuple[int, int]:
    """Return how many trainings of a study are done, those that its measurements stand on among them, and all."""
    keys = {job.key for job in jobs_of(prepared) if isinstance(job, Trained)}
    return len(store.finished(keys)), len(keys)


def _concluded(prepared: Study, store: Store) -> tuple[Study, Reader, Results, Tables]:
    """Return the part of a study that is done as a study, and what is concluded from it."""
    done, total = count_trainings(prepared, store)
    points = finished_points(prepared, store)
    if not points:
        raise ValueError(
            f"study {prepared.id} has nothing to show yet: {done} of {total} trainings are done. `lth resume "
            f"{prepared.id}` goes on with it"
        )
    reader = Reader(store, prepared.sources)
    is_part = len(points) < len(prepared.points)
    part = replace(prepared, points=points, type=_marked(prepared.type, done, total, is_part=is_part))
    results, tables = conclude_results(part, reader)
    return part, reader, results, tables


def finished_points(prepared: Study, store: Store) -> tuple[Point, ...]:
    """Return the measurements that are done, as a study of fewer places or of fewer replicates.

    An arm at a place is kept if it is done in each of the replicates that are kept: so many of those that are furthest
    that most measurements are left. Replicates are numbered anew. What cannot be done, as a training before it
    diverged, counts as done.
    """
    finished = store.finished({job.key for job in jobs_of(prepared)})
    groups: dict[tuple[Any, ...], dict[int, list[Point]]] = defaultdict(lambda: defaultdict(list))
    done: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    for point in prepared.points:
        groups[point.arm, tuple(point.at.items())][point.replicate].append(point)
    for where, by_replicate in groups.items():
        for replicate, points in by_replicate.items():
            if all(_is_over(point.job, finished, store) for point in points):
                done[replicate].add(where)
    best: tuple[int, dict[int, int], set[tuple[Any, ...]]] = (0, {}, set())
    furthest = sorted(done, key=lambda replicate: (-len(done[replicate]), replicate))
    for number in range(1, len(furthest) + 1):
        kept = sorted(furthest[:number])
        common = set.intersection(*(done[replicate] for replicate in kept))
        if number * len(common) >= best[0]:
            best = number * len(common), {replicate: index for index, replicate in enumerate(kept)}, common
    _, numbers, common = best
    return tuple(
        replace(point, replicate=numbers[point.replicate])
        for point in prepared.points
        if point.replicate in numbers and (point.arm, tuple(point.at.items())) in common
    )


def _is_over(job: Job, finished: set[str], store: Store) -> bool:
    """Return whether a job is done, or cannot be done."""
    if job.key in finished:
        return True
    before = (node for node in derivation(job).values() if isinstance(node, Trained) and node.key in finished)
    return any(store.diverged_at(each) is not None for each in before)


def _marked(study_type: StudyType[Any], done: int, total: int, *, is_part: bool) -> StudyType[Any]:
    """Return a kind of study whose verdict says that it is unfinished, also where too little is done for one."""
    lacking = LACKING if is_part else ()

    def conclude(results: Results, reader: Reader, points: list[Point]) -> Conclusion:
        results["unfinished"] = {"done": done, "of": total}
        try:
            found = study_type.conclude(results, reader, points)
        except lacking:
            found = Conclusion(_too_little(results))
        verdict, count = found.verdict, f"{done} of {total} trainings"
        marked: Verdict = {
            **verdict,
            "found": False,
            "confirmed": None,
            "summary": f"unfinished ({count})",
            "title": f"Unfinished, {count}: {results['study']} of {studied(results['config'])}",
            "sentences": [_first(results, done, total), *(f"So far: {each}" for each in verdict["sentences"][:1])],
            "at": {},
        }
        return Conclusion(marked, found.tables)

    return replace(study_type, conclude=conclude)


def _first(results: Results, done: int, total: int) -> str:
    """Say that a study is unfinished, and what its documents are of."""
    number = num_replicates(results)
    of = f"What follows is of what {number} replicate{'s have' if number > 1 else ' has'} done so far, and no verdict."
    if done < total:
        return f"This study is unfinished: {done} of {total} trainings are done. {of}"
    left = "but what they reach is not all measured, or written as results"
    return f"This study is unfinished: its {total} trainings are done, {left} (`lth resume {results['id']}`). {of}"


def _too_little(results: Results) -> Verdict:
    """Return the verdict where what it compares is not done yet."""
    return {
        "found": False,
        "confirmed": None,
        "summary": "",
        "title": studied(results["config"]),
        "sentences": ["What would be compared is not done yet."],
        "tiles": [],
        "at": {},
    }
