"""Two tickets merged: what is trained under which masks, and what the verdict says of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, tiny
from rows import arm, results

from lth.analysis.documents import Results
from lth.data import load_data
from lth.lineage import Reader, Store, Trained, build
from lth.sparsity import Masks
from lth.studies import settings_of
from lth.studies.merge import ARMS, MERGE, _verdict
from lth.studies.prepare import Study, prepare


def made(**settings: Any) -> Study:
    """A small study of a tiny network."""
    given = {"levels": 2, "rate": 0.5, "replicates": 1, "duration": "20it", "batch_size": 20, "evaluate_every": 10}
    return prepare(MERGE, settings_of(MERGE, {**given, **settings}), tiny, load_data("digits"))


def jobs_of(study: Study) -> dict[tuple[str, Any], Trained]:
    found = {(each.arm, each.at["level"]): each.job for each in study.points}
    assert all(isinstance(job, Trained) for job in found.values())
    return found  # type: ignore[return-value]


def test_masks_are_merged_and_all_start_from_one_state(tmp_path: Path) -> None:
    study, store = made(rewind_to="5it"), Store(tmp_path)
    assert build(study.targets, store, study.sources, HERE) == {}
    reader, jobs = Reader(store, study.sources), jobs_of(study)
    origin = reader.weights(jobs["dense", 0].at(5))
    for level in (1, 2):
        masks: dict[str, Masks] = {each.name: reader.masks(jobs[each.name, level].masks) for each in ARMS[1:]}
        for name in masks["first"]:
            first, second = masks["first"][name], masks["second"][name]
            assert not torch.equal(first, second)
            assert torch.equal(masks["union"][name], first | second)
            assert torch.equal(masks["intersection"][name], first & second)
            assert int(masks["random"][name].sum()) == int((first | second).sum())
            assert int(masks["random union"][name].sum()) > int((first | second).sum())  # random ones share less
        for each in ARMS[1:]:
            job = jobs[each.name, level]
            assert (job.first_step, job.seeds) == (5, jobs["dense", 0].seeds)
            start = reader.weights(job.start)
            for name, mask in masks[each.name].items():
                assert torch.equal(start[name], origin[name].where(mask, torch.zeros(())))


def test_the_second_ticket_may_be_found_by_another_criterion() -> None:
    jobs = jobs_of(made(second_criterion="movement"))
    first, second = (jobs[name, 1].masks for name in ("first", "second"))
    assert (first.pruning.criterion, second.pruning.criterion) == ("large_final", "movement")
    assert first.end == second.end  # one dense network, so one data order
    second = jobs_of(made(second_criterion="taylor", samples=50))["second", 1].masks
    assert (second.pruning.criterion, second.pruning.samples) == ("taylor", 50)  # without a warning that none reads it
    with pytest.raises(ValueError, match="second_criterion: 'large_final' is the first one too"):
        made(second_criterion="large_final")
    with pytest.raises(ValueError, match="unknown criterion 'movemnt'"):
        made(second_criterion="movemnt")


def document(**values: list[float | None]) -> Results:
    """A document of two levels."""
    rows = arm("dense", 0, [0.9, 0.91, 0.92, 0.93])
    for name, given in values.items():
        rows += [*arm(name.replace("_", " "), 1, [0.95, 0.94, 0.96, 0.95]), *arm(name.replace("_", " "), 2, given)]
    arms = [{"name": each.name, "words": each.words, "role": each.role} for each in ARMS]
    return results([{**row, "at": {"level": row["at"]["level"]}} for row in rows], arms=arms)


@pytest.mark.parametrize(
    ("union", "single", "found", "confirmed", "words"),
    [
        ([0.93, 0.94, 0.96, 0.97], 0.5, True, True, "no fewer weights is not settled"),
        ([0.99, 0.985, 0.994, 0.991], 0.5, True, True, "and than a single ticket with no fewer weights"),
        ([0.90, 0.91, 0.99, 0.89], 0.5, True, False, "on average, but that is not settled"),
        ([0.80, 0.82, 0.81, 0.79], 0.5, False, None, "more weights do not help"),
        ([0.88, 0.895, 0.88, 0.9], 0.2, False, None, "No gain of the union"),
    ],
)
def test_the_verdict_weighs_the_union_against_tickets_and_density(
    union: list[float | None], single: float, found: bool, confirmed: bool | None, words: str
) -> None:
    ticket: list[float | None] = [0.88, 0.89, 0.9, 0.9]
    made_of = document(
        union=union,
        intersection=ticket,
        first=ticket,
        second=[0.881, 0.9, 0.89, 0.9],
        random=ticket,
        random_union=ticket,
    )
    kept = {"union": 30.0, "first": 25.0, "second": 25.0, "intersection": 20.0, "random": 30.0, "random union": 40.0}
    densities = [{"arm": name, "level": 2, "mean": value} for name, value in kept.items()]
    densities += [{"arm": "first", "level": 1, "mean": 100 * single}, {"arm": "dense", "level": 0, "mean": 100.0}]
    verdict = _verdict(made_of, densities)
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (found, confirmed, {"level": 2})
    assert words in verdict["sentences"][0]
    where = "of level 1, 95.00 % (50 %)" if single == 0.5 else "the dense network, 91.50 % (100 %)"
    assert len([sentence for sentence in verdict["sentences"] if where in sentence]) == 1
    assert (
        f"Settled: Student's paired t-test over replicates, at 95 % for {6 if single == 0.5 else 5} differences"
        in (verdict["sentences"][-1])
    )
