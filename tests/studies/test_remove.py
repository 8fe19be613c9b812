"""Tickets taken out one after the other: what each round starts from, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, tiny
from rows import arm, results

from lth.analysis.documents import Results
from lth.data import load_data
from lth.lineage import Reader, Store, Trained, build
from lth.studies import settings_of
from lth.studies.prepare import Study, prepare
from lth.studies.remove import ARMS, REMOVE, _overlaps, _verdict


def made(**settings: Any) -> Study:
    """A small study of a tiny network."""
    given = {"tickets": 3, "levels": 2, "rate": 0.5, "replicates": 1, "duration": "20it", "batch_size": 20}
    return prepare(REMOVE, settings_of(REMOVE, {**given, "evaluate_every": 10, **settings}), tiny, load_data("digits"))


def test_a_round_starts_without_the_tickets_before_it(tmp_path: Path) -> None:
    study, store = made(rewind_to="5it"), Store(tmp_path)
    assert build(study.targets, store, study.sources, HERE) == {}
    reader = Reader(store, study.sources)
    jobs = {(each.arm, each.at["round"]): each.job for each in study.points}
    starts = [reader.weights(jobs["dense", number].start) for number in (1, 2, 3)]  # type: ignore[attr-defined]
    removed: dict[str, torch.Tensor] = {}
    for number in (1, 2):
        ticket = jobs["ticket", number]
        assert isinstance(ticket, Trained)
        masks = reader.masks(ticket.masks)
        for name, value in starts[number].items():
            before, mask = starts[number - 1][name], masks.get(name)
            if mask is None:
                assert torch.equal(value, before)  # biases are no weights of a ticket
                continue
            assert float(mask.float().mean()) == pytest.approx(0.25, abs=0.01)
            assert torch.equal(value[~mask], before[~mask])
            assert (value[mask] != before[mask]).all()
            removed[name] = removed.get(name, torch.zeros_like(mask)) | mask
    for name, ever in removed.items():  # what no ticket held is as it was drawn
        assert torch.equal(starts[2][name][~ever], starts[0][name][~ever])
    rows = _overlaps(reader, list(study.points))
    assert [(row["round"], row["with"], row["masks"]) for row in rows][::2] == [
        (2, "the ticket before", "tickets"), (2, "the first ticket", "tickets"),
        (3, "the ticket before", "tickets"), (3, "the first ticket", "tickets"),
    ]  # fmt: skip
    assert all(row["overlap"] == pytest.approx(1 / 7, abs=0.01) for row in rows if row["masks"] == "chance")


FIRST: list[float | None] = [0.93, 0.931, 0.945, 0.928]


def document(
    dense: list[float | None], later: list[float | None], margin: float, first: list[float | None] = FIRST
) -> Results:
    """Two rounds, whose first tickets are winning ones."""
    rows = [*arm("dense", 1, [0.9, 0.91, 0.92, 0.9]), *arm("ticket", 1, first)]
    rows += [*arm("dense", 2, dense), *arm("ticket", 2, later)]
    for level in (1, 2):
        rows += [*arm("reinit", level, [0.80, 0.81, 0.82, 0.805]), *arm("random", level, [0.70, 0.71, 0.72, 0.705])]
    arms = [{"name": each.name, "words": each.words, "role": each.role} for each in ARMS]
    config = {"model": "lenet-300-100", "data": "digits", "margin": margin}
    rows = [{**row, "at": {"round": row["at"]["level"]}} for row in rows]
    return results(rows, arms=arms, config=config, axis="round")


def test_rounds_with_tickets_are_counted_and_networks_compared_with_the_first() -> None:
    good: list[float | None] = [0.928, 0.932, 0.945, 0.929]
    verdict = _verdict(document([0.901, 0.91, 0.921, 0.9], good, 0.005), [])
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (True, True, {"round": 2})
    text = " ".join(verdict["sentences"])
    assert (
        "in 2 of 2 rounds; confirmed, with controls clearly worse, in rounds 1, 2 (2 rounds tested together, Holm)."
        in text
    )
    assert "with the whole interval) in round 2, so that the tickets taken out were not necessary" in text
    lost = _verdict(document([0.85, 0.861, 0.86, 0.852], [0.8, 0.81, 0.805, 0.8], 0.005), [])
    text = " ".join(lost["sentences"])
    assert (
        "in 1 of 2 rounds; confirmed, with controls clearly worse, in round 1 (2 rounds tested together, Holm)." in text
    )
    assert "are worse than those of round 1 in round 2, and no worse" in text
    assert "were not necessary" not in text
    unclear = _verdict(document([0.9, 0.85, 0.95, 0.91], good, 0.005), [])
    assert "were not necessary" not in " ".join(unclear["sentences"])  # no difference that is settled is no proof


def test_overlap_is_beside_chance() -> None:
    rows = [
        {"round": number, "with": other, "replicate": replicate, "masks": masks, "overlap": value + replicate / 1000}
        for number, tickets in ((2, 0.3), (3, 0.051))
        for other in ("the ticket before", "the first ticket")
        for replicate in range(4)
        for masks, value in (("tickets", tickets + replicate / 500), ("chance", 0.1))
    ]
    text = " ".join(_verdict(document([0.9] * 4, [0.9, 0.91, 0.9, 0.92], 0.0), rows)["sentences"])
    assert "3 overlaps tested together by Holm): round 2 0.304 (chance 0.102, beyond chance), round 3" in text
    assert "round 3 0.055 (chance 0.102, less than chance)" in text


def test_rounds_are_confirmed_together() -> None:
    """A match of p = 0.03 is confirmed beside a clear one, as Holm's second, and not beside another of p = 0.04."""
    base: list[float | None] = [0.90, 0.91, 0.92, 0.9]
    close: list[float | None] = [0.9205, 0.914, 0.938, 0.9135]
    closer: list[float | None] = [0.927, 0.915, 0.932, 0.92]
    for first, confirmed in ((FIRST, True), (closer, False)):
        verdict = _verdict(document(base, close, 0.0, first), [])
        assert (verdict["found"], verdict["confirmed"]) == (True, confirmed)
        assert (
            f"in {'rounds 1, 2' if confirmed else 'no round'} (2 rounds tested together, Holm)"
            in verdict["sentences"][0]
        )
