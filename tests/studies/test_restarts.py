"""What kept and pruned weights start from, in real studies, against values taken from the store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, jobs, study
from torch import Tensor, nn

from lth.lineage import Combined, Dense, Execution, Reader, Sparsified, Store, Trained, build
from lth.sparsity import density
from lth.studies.prepare import Study
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS

NAME = "1.weight"

EQUAL_SCORES = pytest.mark.filterwarnings("ignore:criterion .* gives equal scores in bulk")
"""Some pixels of the digits are never lit: their weights have no gradients, and all equal values stay equal."""


def net() -> nn.Module:
    """64-12-10, ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def built(folder: Path, **fields: Any) -> tuple[Study, Reader]:
    """A study of two levels at half the weights, one replicate, 20 steps each, trained."""
    made = study(net, **{"duration": "20it", "optimizer": "adamw", "weight_decay": 0.1, **fields})
    store = Store(folder)
    assert build(made.targets, store, made.sources, HERE) == {}
    return made, Reader(store, made.sources)


def arm(made: Study, name: str, level: int) -> Trained:
    """The training of an arm at a level, of the first replicate."""
    at = [point.at["level"] for point in made.points if point.arm == name]
    return jobs(made, name)[at.index(level)]


def masked(reader: Reader, made: Study, level: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mask of the first layer, its start, the dense initialisation and the trained weights that the mask is from."""
    ticket = arm(made, "ticket", level)
    source = arm(made, "ticket", level - 1) if level > 1 else arm(made, "dense", 0)
    start = reader.weights(ticket.start)[NAME]
    initial, final = (reader.weights(node)[NAME] for node in (arm(made, "dense", 0).start, source))
    assert isinstance(ticket.start, Combined)
    mask = reader.masks(ticket.start.masks)[NAME]
    return mask, start, initial, final


SAME = {
    "rewind": lambda mask, initial, final: initial[mask],
    "keep": lambda mask, initial, final: final[mask],
    "lr_rewind": lambda mask, initial, final: final[mask],
    "signed_constant": lambda mask, initial, final: initial.std(unbiased=False) * initial[mask].sign(),
}


def test_a_start_reads_only_what_its_actions_look_at(tmp_path: Path) -> None:
    """Rewinding needs the masks and the initialisation: neither earlier trainings nor the starts of earlier levels."""
    made, reader = built(tmp_path, controls=())
    for node in (arm(made, "dense", 0), arm(made, "ticket", 1)):
        (reader.store.folder(node.key) / "weights.safetensors").unlink()
    mask, start = reader.masks(arm(made, "ticket", 2).masks)[NAME], reader.weights(arm(made, "ticket", 2).start)[NAME]
    assert torch.equal(start[mask], reader.weights(arm(made, "dense", 0).start)[NAME][mask])


@EQUAL_SCORES
@pytest.mark.parametrize("kept", KEPT_ACTIONS)
def test_kept_weights_start_as_they_should(kept: str, tmp_path: Path) -> None:
    made, reader = built(tmp_path, kept=kept, controls=())
    assert KEPT_ACTIONS[kept].words
    for level in (1, 2):
        mask, start, initial, final = masked(reader, made, level)
        assert int(mask.sum()) == mask.numel() // 2**level
        assert torch.equal(start[~mask], torch.zeros_like(start[~mask]))
        if kept in SAME:
            assert torch.equal(start[mask], SAME[kept](mask, initial, final))
        else:
            assert not torch.equal(start[mask], initial[mask])
        agreement = float((start[mask].sign() == initial[mask].sign()).float().mean())
        if kept.startswith("signed"):
            assert agreement == 1
        elif kept in ("reinit", "permute", "shuffle", "constant"):
            assert abs(agreement - 0.5) < 0.2
        end = reader.weights(arm(made, "ticket", level))[NAME]
        assert torch.equal(end[~mask], torch.zeros_like(end[~mask]))


@pytest.mark.parametrize("pruned", PRUNED_ACTIONS)
def test_pruned_weights_start_and_stay_as_they_should(pruned: str, tmp_path: Path) -> None:
    made, reader = built(tmp_path, pruned=pruned)
    zero = torch.zeros(())
    values: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "zero": lambda initial, final: zero,
        "soft": lambda initial, final: zero,
        "freeze": lambda initial, final: initial,
        "zero_if_toward_zero": lambda initial, final: torch.where(final.abs() < initial.abs(), zero, initial),
        "zero_if_away_from_zero": lambda initial, final: torch.where(final.abs() < initial.abs(), initial, zero),
    }
    fills = []
    for level in (1, 2):
        mask, start, initial, final = masked(reader, made, level)
        fills.append((~mask, start))
        before = reader.weights(arm(made, "ticket", level - 1).start)[NAME] if level > 1 else initial
        origin = before if PRUNED_ACTIONS[pruned].trains else initial
        assert torch.equal(start[mask], origin[mask])
        fresh = ~mask & ~(fills[0][0] if level > 1 else torch.zeros_like(mask))
        if pruned in values:
            assert torch.equal(start[fresh], values[pruned](initial, final).expand_as(start)[fresh])
        else:
            assert not bool((start[~mask] == initial[~mask]).any())
            assert float(start[~mask].std() / initial.std()) == pytest.approx(1, abs=0.2)
        end = reader.weights(arm(made, "ticket", level))[NAME]
        assert torch.equal(end[~mask], start[~mask]) != PRUNED_ACTIONS[pruned].trains
        for control in ("ticket", "reinit", "random"):
            assert isinstance(arm(made, control, level).masks, Dense) == PRUNED_ACTIONS[pruned].trains
    (gone, first), (_, second) = fills
    if pruned in values and pruned != "soft":
        assert torch.equal(first[gone], second[gone])  # what the first level pruned stays where it was put


def test_fine_tuning_stays_at_the_last_learning_rate_and_lr_rewinding_does_not(tmp_path: Path) -> None:
    recipes = {}
    for kept in ("keep", "lr_rewind"):
        rewind_to = "4it" if kept == "lr_rewind" else "0it"
        made, _ = built(tmp_path / kept, kept=kept, lr_decay="linear", rewind_to=rewind_to, controls=(), levels=1)
        ticket = arm(made, "ticket", 1)
        recipes[kept] = [ticket.training.lr_at(step) for step in range(ticket.first_step, 20)]
    assert recipes["keep"] == pytest.approx([0.01 / 20] * 20)
    assert recipes["lr_rewind"] == pytest.approx([0.01 * (1 - step / 20) for step in range(4, 20)])


def test_kept_moments_are_those_of_the_training_before(tmp_path: Path) -> None:
    """With nothing pruned in effect on the first step's gradient, moments alone tell the two policies apart."""
    ends = {}
    for moments in ("zero", "keep"):
        made, reader = built(tmp_path / moments, kept="keep", moments=moments, controls=(), levels=1)
        ticket = arm(made, "ticket", 1)
        assert (ticket.moments is not None) == (moments == "keep")
        ends[moments] = reader.weights(ticket)[NAME]
    assert not torch.equal(ends["zero"], ends["keep"])


def test_a_random_mask_keeps_trained_weights_that_were_never_pruned(tmp_path: Path) -> None:
    """A control under a random mask must not start from zeros that earlier levels left."""
    made, reader = built(tmp_path, kept="keep", moments="keep", controls=("random",))
    for level in (1, 2):
        control = arm(made, "random", level)
        mask, start = reader.masks(control.masks)[NAME], reader.weights(control.start)[NAME]
        assert torch.equal(start[mask], reader.weights(arm(made, "dense", 0))[NAME][mask])
        assert control.moments == arm(made, "dense", 0)


def test_levels_whose_counters_differ_are_not_stacked(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"kept": "lr_rewind", "moments": "keep", "controls": ()}
    _, reader = built(tmp_path, **fields, replicates=1, levels=1)
    more = study(net, **fields, duration="20it", optimizer="adamw", weight_decay=0.1, replicates=2)
    assert build(more.targets, reader.store, more.sources, Execution(workers=0, population=4)) == {}


@pytest.mark.parametrize("moments", ["zero", "keep", "restore"])
def test_moments_within_a_training(moments: str, tmp_path: Path) -> None:
    made, reader = built(tmp_path, sparsifier="rigl", moments=moments, levels=1, controls=())
    sparsifier = arm(made, "sparsified", 1).training.sparsifier
    assert sparsifier is not None
    assert sparsifier.moments == moments
    assert density(reader.masks(arm(made, "ticket", 1).masks)) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("sparsifier", ["gradual", "set", "rigl", "soft", "noise"])
def test_masks_found_within_a_training_are_tested_as_tickets(sparsifier: str, tmp_path: Path) -> None:
    made, reader = built(tmp_path, sparsifier=sparsifier, scope="global")
    for level in (1, 2):
        sparsified, ticket = arm(made, "sparsified", level), arm(made, "ticket", level)
        assert isinstance(ticket.masks, Sparsified)
        masks = reader.masks(ticket.masks)
        assert density(masks) == pytest.approx(0.5**level, abs=1e-3)
        end, initial = reader.weights(sparsified), reader.weights(sparsified.start)
        for name, mask in masks.items():
            assert torch.equal(end[name][~mask], torch.zeros_like(end[name][~mask]))
            assert torch.equal(reader.weights(ticket.start)[name][mask], initial[name][mask])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"moments": "keep"}, "'keep' goes with kept 'keep' or 'lr_rewind'"),
        ({"moments": "restore"}, "choose a sparsifier"),
        ({"sparsifier": "rigl", "criterion": "movement"}, "drops weights by magnitude"),
        ({"sparsifier": "gradual", "granularity": "heads"}, "chooses single weights"),
        ({"sparsifier": "gradual", "rates": {"a": 0.1}}, "by its scope"),
        ({"sparsifier": "gradual", "criterion": "snip"}, "runs the network"),
        ({"sparsifier": "gradual", "begin": 0.9, "end": 0.1}, "comes after end"),
        ({"schedule": "list"}, "found 0 rates for 2 levels"),
        (
            {"schedule": "list", "level_rates": (0.3, 0.6), "rates": {"3.weight": 0.5}, "rate": 0.2},
            "at the listed rate 0.6 is 1 or more",
        ),
        ({"sparsifier": "gradual", "pruned": "soft"}, "would not be tested"),
        ({"kept": "reinit", "rewind_to": "5it"}, "goes back to no step"),
        ({"level_rates": (0.1, 0.2)}, "only schedule 'list' reads them"),
        ({"granularity": "2:4", "rate": 0.2}, "fixes the density by itself; found 2 levels, only 1"),
        ({"granularity": "heads"}, "finds nothing of its kind"),
        ({"granularity": "head"}, "Did you mean 'heads'"),
        ({"criterion": "large_finl"}, "Did you mean 'large_final'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study(net, **fields)


@EQUAL_SCORES
@pytest.mark.parametrize("criterion", ["snip", "synflow", "wanda", "movement_pruning", "lamp", "fisher"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_criteria_that_look_further_work_in_a_study(criterion: str, precision: str, tmp_path: Path) -> None:
    made, reader = built(tmp_path, criterion=criterion, precision=precision, controls=())
    for level in (1, 2):
        assert density(reader.masks(arm(made, "ticket", level).masks)) == pytest.approx(0.5**level, abs=2e-3)


@pytest.mark.parametrize("granularity", ["output_units", "input_units", "block:4x4", "2:4"])
def test_whole_units_go_in_a_study(granularity: str, tmp_path: Path) -> None:
    levels = 1 if ":" in granularity and "x" not in granularity else 2
    rate = {"rate": 0.2} if granularity == "2:4" else {}
    made, reader = built(tmp_path, granularity=granularity, levels=levels, controls=("random",), **rate)
    masks = reader.masks(arm(made, "ticket", levels).masks)
    assert density(masks) == pytest.approx(made.points[-1].at["density"], abs=0.01)  # blocks at the edge are smaller
    if granularity == "output_units":
        assert set(masks[NAME].float().mean(1).tolist()) == {0.0, 1.0}
        assert bool(masks["3.weight"].all())
