"""Weights drawn anew at a falling rate: what each round starts from, when a plateau begins, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, tiny
from rows import arm, results

from lth.config import SettingsError
from lth.data import load_data
from lth.lineage import Combined, Reader, Store, Trained, build
from lth.studies import settings_of
from lth.studies.prepare import Study, prepare
from lth.studies.regrow import ARMS, REGROW, Regrow, _validated, _verdict, plateau, rate_of
from lth.training import read_history


def made(**settings: Any) -> Study:
    """A small study of a tiny network."""
    given = {"limit": 3, "replicates": 1, "duration": "20it", "batch_size": 20, "evaluate_every": 10}
    return prepare(REGROW, settings_of(REGROW, {**given, **settings}), tiny, load_data("digits"))


def test_the_lowest_weights_are_redrawn_and_the_others_stay_as_trained(tmp_path: Path) -> None:
    study, store = made(first_rate=0.5, last_rate=0.02), Store(tmp_path)
    assert build(study.targets, store, study.sources, HERE) == {}
    reader = Reader(store, study.sources)
    jobs = {(each.arm, each.at["round"]): each.job for each in study.points}
    for number, rate in ((1, 0.5), (2, 0.1), (3, 0.02)):
        normal, regrown, control = (jobs[name, number] for name in ("normal", "regrown", "random"))
        assert isinstance(normal, Trained)
        assert isinstance(regrown, Trained)
        assert isinstance(control, Trained)
        assert normal.seeds == regrown.seeds == control.seeds != jobs["normal", 0].seeds  # type: ignore[attr-defined]
        assert normal.start == jobs["normal", number - 1]
        assert isinstance(regrown.start, Combined)
        assert isinstance(control.start, Combined)
        assert regrown.start.kept == (jobs["regrown", number - 1] if number > 1 else jobs["normal", 0])
        assert regrown.start.pruned == control.start.pruned
        before, fresh, start = (
            reader.weights(each) for each in (regrown.start.kept, regrown.start.pruned, regrown.start)
        )
        masks, others = reader.masks(regrown.start.masks), reader.masks(control.start.masks)
        for name, mask in masks.items():
            assert int((~mask).sum()) == int((~others[name]).sum()) == int(mask.numel() * rate + 0.5)
            assert float(before[name][~mask].abs().max()) <= float(before[name][mask].abs().min())
            assert torch.equal(start[name], torch.where(mask, before[name], fresh[name]))
        assert regrown.masks == normal.masks  # nothing is frozen
    assert len({each.seeds.order for each in jobs.values()}) == 4  # type: ignore[attr-defined]


def test_the_rate_falls_geometrically_and_must_fall() -> None:
    settings = Regrow(limit=3, first_rate=0.8, last_rate=0.2)
    assert [rate_of(settings, number) for number in (1, 2, 3)] == pytest.approx([0.8, 0.4, 0.2])
    with pytest.raises(SettingsError, match=r"last_rate 0.9 is above first_rate 0.5: the rate falls"):
        settings_of(REGROW, {"last_rate": 0.9})
    with pytest.raises(ValueError, match="unknown criterion 'largest'"):
        made(criterion="largest")


@pytest.mark.parametrize(
    ("rounds", "begins"),
    [
        ([[1.0, 1.1, 1.2], [2.0, 2.1, 2.21], [3.0, 3.1, 3.21], [3.05, 3.0, 3.3]], 2),
        ([[1.0, 1.1, 1.2], [1.0, 1.2, 1.1]], 0),
        ([[1.0, 1.1, 1.2], [2.0, 2.1, 2.21]], 1),
        ([[1.0, 1.1, 1.2], [0.0, 0.1, 0.2], [2.0, 2.1, 2.21], [2.1, 2.0, 2.2]], 2),  # a later gain counts too
        ([[1.0], [2.0]], 0),
    ],
)
def test_a_plateau_begins_where_no_later_round_is_surely_better(rounds: list[list[float | None]], begins: int) -> None:
    values = dict(enumerate(rounds))
    assert plateau(values, "higher", 0.95) == begins
    negative = {number: [-each for each in some if each is not None] for number, some in values.items()}
    assert plateau(negative, "lower", 0.95) == begins  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("validated", "words", "at"),
    [
        ([0.8, 0.85, 0.85], "The plateau begins at round 1 of 2", 1),
        ([0.8, 0.85, 0.9], "No plateau in 2 rounds", 2),
        ([0.8, 0.8, 0.8], "so the plateau begins with it", 2),
    ],
)
def test_networks_are_compared_at_the_plateau_and_at_the_last_round(
    validated: list[float], words: str, at: int
) -> None:
    rows = arm("normal", 0, [0.8, 0.81, 0.82])
    for number in (1, 2):
        rows += [*arm("normal", number, [0.85, 0.86, 0.87]), *arm("regrown", number, [0.90, 0.913, 0.921])]
        rows += arm("random", number, [0.86, 0.871, 0.88])
    arms = [{"name": each.name, "words": each.words, "role": each.role} for each in ARMS]
    document = results([{**row, "at": {"round": row["at"]["level"]}} for row in rows], arms=arms, axis="round")
    curves = {number: [value, value + 0.011, value + 0.02 + number / 1000] for number, value in enumerate(validated)}
    if validated[2] == validated[0]:
        curves = {number: [0.8, 0.8, 0.8] for number in curves}
    verdict = _verdict(document, curves, 2)  # type: ignore[arg-type]
    assert (verdict["found"], verdict["confirmed"], verdict["at"]) == (True, True, {"round": at})
    assert words in verdict["sentences"][1]
    assert len([each for each in verdict["sentences"] if each.startswith("At ")]) == (2 if at == 1 else 1)


def test_one_replicate_has_no_plateau() -> None:
    rows = arm("normal", 0, [0.8])
    for number in (1, 2):
        rows += [row for name in ("normal", "regrown", "random") for row in arm(name, number, [0.8 + number / 100])]
    arms = [{"name": each.name, "words": each.words, "role": each.role} for each in ARMS]
    document = results([{**row, "at": {"round": row["at"]["level"]}} for row in rows], arms=arms, axis="round")
    verdict = _verdict(document, {0: [0.8], 1: [0.85], 2: [0.9]}, 2)
    assert verdict["summary"] == "no gain, one replicate, so no plateau"
    assert any("needs intervals" in each for each in verdict["sentences"])


def test_what_a_network_reached_before_it_diverged_does_not_count(tmp_path: Path) -> None:
    study, store = made(limit=2, optimizer="sgd", lr=1e12, evaluate_every=1), Store(tmp_path)
    build(study.targets, store, study.sources, HERE)
    reader = Reader(store, study.sources)
    history = read_history(reader.document(study.points[0].job))
    assert history.diverged_at is not None
    assert history.curves["validation/accuracy"]
    assert _validated(reader, study.points, results([])) == {0: [None], 1: [None], 2: [None]}
