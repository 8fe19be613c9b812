"""Two tickets compared: every number recomputed from their masks and weights."""

from pathlib import Path

import pytest
import torch
from builds import jobs, tiny
from tickets import INITIAL, SHAPES, TINY, drawn_masks, sources_for, state_of, ticket_of_masks
from torch import Tensor

import lth
from lth.lineage import Initial, Reader, Store, StoreError, Ticket, make_ticket
from lth.sparsity import State
from lth.studies.prepare import Study

A, B = ticket_of_masks(drawn_masks(1, 0.3)), ticket_of_masks(drawn_masks(2, 0.4))
THETA = state_of(INITIAL, sources_for())


def cosine(one: Tensor, other: Tensor) -> float:
    return torch.cosine_similarity(one.reshape(1, -1).double(), other.reshape(1, -1).double()).item()


@pytest.fixture(scope="module")
def trained(finished: tuple[Study, Store]) -> tuple[list[Ticket], Store]:
    """The tickets of both levels of a finished study, and its store."""
    made, store = finished
    return [make_ticket(job, Reader(store, made.sources), {}, {}) for job in jobs(made, "ticket")], store


def test_masks_beside_chance_and_starting_weights_by_hand() -> None:
    document = lth.compare_tickets(A, B, model=tiny)
    for name in SHAPES:
        row, a, b = document["tensors"][name], A.masks[name], B.masks[name]
        both, chance = int((a & b).sum()), int(a.sum()) * int(b.sum()) / a.numel()
        assert (row["weights"], row["sizes"], row["both"]) == (a.numel(), [int(a.sum()), int(b.sum())], both)
        assert row["iou"] == both / int((a | b).sum())
        assert row["chance_iou"] == pytest.approx(chance / (int(a.sum()) + int(b.sum()) - chance))
        found = row["cosine"]["starting"]
        assert found["all"] == pytest.approx(cosine(THETA[name] * a, THETA[name] * b))
        assert found["kept_by_both"] == pytest.approx(1.0)  # both start from the same weights
    whole = [torch.cat([(THETA[name] * each.masks[name]).reshape(-1) for name in SHAPES]) for each in (A, B)]
    assert document["overall"]["cosine"]["starting"]["all"] == pytest.approx(cosine(*whole))
    means = [document["tensors"][name]["cosine"]["starting"]["all"] for name in SHAPES]
    assert document["mean_cosine"]["starting"]["all"] == pytest.approx(sum(map(float, means)) / 2)  # type: ignore[arg-type]
    assert document["unpruned"]["starting"] == {"1.bias": pytest.approx(1.0), "3.bias": pytest.approx(1.0)}
    assert document["same_theta_0"] is True
    assert document["theta_0"] == ["a draw of tiny (seed 7)"] * 2
    assert document["notes"] == ["no trained weights: --store (store) names the folder in which both were trained"]


def test_trained_weights_of_a_store_by_hand(trained: tuple[list[Ticket], Store]) -> None:
    (one, other), store = trained
    document = lth.compare_tickets(one, other, store=store.root, model=tiny)
    states: list[State] = [each.trained_weights(store) for each in (one, other)]
    for name in SHAPES:
        row, both = document["tensors"][name], one.masks[name] & other.masks[name]
        found = row["cosine"]["trained"]
        assert found["all"] == pytest.approx(cosine(states[0][name], states[1][name]))
        assert found["kept_by_both"] == pytest.approx(cosine(states[0][name][both], states[1][name][both]))
        assert found != row["cosine"]["starting"]
        assert row["iou"] == 0.5  # the second level keeps half of the first
    assert document["unpruned"]["trained"]["1.bias"] == pytest.approx(cosine(states[0]["1.bias"], states[1]["1.bias"]))
    assert document["notes"] == []
    with pytest.raises(StoreError, match="is missing"):
        lth.compare_tickets(one, other, store="nowhere", model=tiny)


def test_equal_tickets_and_tickets_that_share_nothing() -> None:
    same = lth.compare_tickets(A, A, model=tiny)
    assert same["overall"]["iou"] == 1
    assert same["mean_cosine"]["starting"] == {"all": pytest.approx(1.0), "kept_by_both": pytest.approx(1.0)}
    opposite = ticket_of_masks({name: ~mask for name, mask in A.masks.items()})
    apart = lth.compare_tickets(A, opposite, model=tiny)
    assert (apart["overall"]["both"], apart["overall"]["iou"]) == (0, 0)
    assert apart["mean_cosine"]["starting"] == {"all": 0.0, "kept_by_both": None}


def test_tickets_of_another_origin_are_compared_and_it_is_said() -> None:
    other = ticket_of_masks(B.masks, Initial(spec=TINY, seed=8))
    document = lth.compare_tickets(A, other, model=tiny)
    assert document["same_theta_0"] is False
    assert abs(document["mean_cosine"]["starting"]["kept_by_both"] or 0) < 0.5


def test_what_is_not_at_hand_is_said(tmp_path: Path) -> None:
    document = lth.compare_tickets(A, B)
    assert document["mean_cosine"] == {}
    assert document["same_theta_0"] is True
    assert [note.partition(":")[0] for note in document["notes"]] == ["no trained weights", "no starting weights"]
    merged = lth.merge_tickets(A, B, model=tiny)
    with pytest.raises(ValueError, match="was not trained"):
        lth.compare_tickets(merged, merged, store=tmp_path)
    assert lth.compare_tickets(A, merged, model=tiny)["overall"]["both"] == sum(int(m.sum()) for m in A.masks.values())
    fewer = ticket_of_masks({"1.weight": A.masks["1.weight"]})
    with pytest.raises(ValueError, match="has a mask of '3.weight' and"):
        lth.compare_tickets(A, fewer)
