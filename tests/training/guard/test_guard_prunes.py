"""Methods that prune while a loop runs: exact densities, dense gradients where they are needed, resuming."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from guard_loops import batch, check_frozen, loop, net, same_bits, state

from lth.sparsity.metrics import density
from lth.training.guard import guard
from lth.training.sparsifiers import SPARSIFIERS, SparsifierMethod, rising
from lth.training.sparsifiers.gradual import gradual


def adam(model: torch.nn.Module) -> torch.optim.Optimizer:
    """AdamW with decay."""
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


@pytest.mark.parametrize("scope", [None, "global", "layerwise"])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_ends_exactly_on_target(method: str, scope: str | None) -> None:
    model = net()
    optimizer = adam(model)
    one = guard(model, optimizer, method=method, density=0.3, scope=scope, steps=20, steps_per_epoch=5)
    densities: list[float] = []

    def look(step: int) -> None:
        densities.append(one.density)
        if method != "soft" or step >= 17:
            rest = one.masks
            if method != "noise" or step >= 17:
                check_frozen(model, rest)

    loop(model, optimizer, 20, look)
    assert one.step == 20
    assert sum(int(mask.sum()) for mask in one.masks.values()) == 72 if scope != "layerwise" else True
    assert one.density == pytest.approx(0.3, abs=3e-3)
    assert (densities[0] < 0.31) == (method in ("set", "rigl"))
    if method == "gradual":
        assert densities == sorted(densities, reverse=True)
        assert len(set(densities)) > 5


def test_noise_rests_between_its_changes() -> None:
    model = net()
    optimizer = adam(model)
    one = guard(model, optimizer, method="noise", density=0.3, steps=20, steps_per_epoch=5, begin=0.0)
    fills, masks = state(model), one.masks

    def look(step: int) -> None:
        nonlocal fills, masks
        if step < 4:  # the next change comes after step 5
            check_frozen(model, masks, fills)
            assert model.get_parameter("0.weight")[~masks["0.weight"]].all()

    loop(model, optimizer, 4, look)


def exchange_step(**options: Any) -> tuple[Any, ...]:
    """A RigL loop just before its first exchange: model, optimizer, guard."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    one = guard(
        model, optimizer, method="rigl", density=0.3, steps=20, begin=0.25, end=1.0, applications=3,
        scope="layerwise", **options,
    )  # fmt: skip
    loop(model, optimizer, 5)
    assert one.step == 5
    return model, optimizer, one


@pytest.mark.parametrize("has_closure", [False, True])
def test_rigl_grows_where_gradients_are_largest(has_closure: bool) -> None:
    """The first exchange by hand; dense gradients pass on this step alone, new weights start from zero."""
    model, optimizer, one = exchange_step()
    before, masks = state(model), one.masks
    inputs, labels = batch(77)
    optimizer.zero_grad()

    def closure() -> torch.Tensor:
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        gradients.update({name: model.get_parameter(name).grad.clone() for name in masks})
        return loss

    gradients: dict[str, torch.Tensor] = {}
    if has_closure:
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()
    for name, mask in masks.items():
        assert gradients[name][~mask].any()
        count = int(one._pruner.plan[1].fraction * int(mask.sum()))
        assert count > 2
        magnitude = before[name].abs().masked_fill(~mask, torch.inf).reshape(-1)
        wanted = mask.reshape(-1).clone()
        wanted[magnitude.argsort()[:count]] = False
        grown = gradients[name].abs().reshape(-1).masked_fill(wanted, -1.0).argsort(descending=True)[:count]
        wanted[grown] = True
        assert torch.equal(one.masks[name].reshape(-1), wanted)
        revived = one.masks[name] & ~mask
        assert revived.any()
        torch.testing.assert_close(model.get_parameter(name)[revived], -0.1 * gradients[name][revived])
    check_frozen(model, one.masks)
    optimizer.zero_grad()
    closure()
    for name, mask in one.masks.items():
        assert not gradients[name][~mask].any()


def test_an_exchange_waits_for_a_step_that_is_not_skipped() -> None:
    for fused in (False, True):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
        one = guard(model, optimizer, method="rigl", density=0.3, steps=20, begin=0.05, end=1.0, applications=3)
        loop(model, optimizer, 1)
        scaler, masks = torch.amp.GradScaler("cpu", init_scale=64.0), one.masks
        for is_bad in (True, False):
            inputs, labels = batch(5)
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(inputs), labels)).backward()
            if is_bad:
                model.get_parameter("0.weight").grad[0, 0] = float("nan")
            scaler.step(optimizer)
            scaler.update()
            assert all(torch.equal(mask, masks[name]) for name, mask in one.masks.items()) == is_bad
        assert one.step == 2


@pytest.mark.parametrize("at", [5, 9, 13])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_resumed_is_the_same_bit_for_bit(method: str, at: int) -> None:
    """Also just before an exchange of RigL (step 9), where dense gradients must pass at once."""
    settings: dict[str, Any] = {
        "method": method, "density": 0.3, "steps": 20, "steps_per_epoch": 5, "moments": "restore", "begin": 0.2,
        "end": 1.0, "applications": 3, "seed": 4,
    }  # fmt: skip
    model = net()
    optimizer = adam(model)
    one = guard(model, optimizer, **settings)
    saved: dict[str, Any] = {}

    def look(step: int) -> None:
        if step + 1 == at:
            saved["model"], saved["guard"] = state(model), one.state_dict()
            saved["optimizer"] = deepcopy(optimizer.state_dict())

    loop(model, optimizer, 20, look)
    again = net(1)
    other = adam(again)
    two = guard(again, other, **settings)
    again.load_state_dict(saved["model"])
    other.load_state_dict(saved["optimizer"])
    two.load_state_dict(saved["guard"])
    for step in range(at, 20):
        inputs, labels = batch(step)
        other.zero_grad()
        F.cross_entropy(again(inputs), labels).backward()
        other.step()
    assert all(torch.equal(mask, two.masks[name]) for name, mask in one.masks.items())
    assert all(same_bits(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_states_survive_a_file_and_refuse_what_they_do_not_fit(tmp_path: Any) -> None:
    model = net()
    optimizer = adam(model)
    one = guard(model, optimizer, method="set", density=0.3, steps=9)
    loop(model, optimizer, 3)
    torch.save(one.state_dict(), tmp_path / "guard.pt")
    saved = torch.load(tmp_path / "guard.pt", weights_only=True)
    one.load_state_dict(saved)
    with pytest.raises(ValueError, match=r"'density': 0\.3.* this one has .*'density': 0\.4"):
        guard(model, optimizer, method="set", density=0.4, steps=9).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"does not fit this guard: 3\.weight differ in name or shape"):
        guard(model, optimizer, method="set", density=0.3, steps=9, never_prune=["3.*"]).load_state_dict(saved)


def test_kept_fills_come_back_with_a_state() -> None:
    model = net()
    masks = {"0.weight": model.get_parameter("0.weight") > 0}
    before = state(model)
    saved = guard(model, adam(model), masks, fill="keep").state_dict()
    other = net(1)
    optimizer = adam(other)
    two = guard(other, optimizer, {"0.weight": ~masks["0.weight"]})
    two.load_state_dict(saved)
    loop(other, optimizer, 2, lambda step: check_frozen(other, masks, before))


def test_masks_and_method_prune_among_what_is_kept() -> None:
    model = net()
    allowed = {"0.weight": torch.rand(12, 16, generator=torch.Generator().manual_seed(0)) < 0.6}
    optimizer = adam(model)
    one = guard(model, optimizer, allowed, method="gradual", density=0.2, steps=10)
    loop(model, optimizer, 10, lambda step: check_frozen(model, allowed))
    assert one.density == pytest.approx(0.2, abs=3e-3)
    assert not (one.masks["0.weight"] & ~allowed["0.weight"]).any()


def test_movement_is_summed_over_the_steps() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    one = guard(
        model, optimizer, method="gradual", criterion="movement_pruning", density=0.3, steps=6, begin=0.0, end=1.0,
        applications=1,
    )  # fmt: skip
    sums = {name: torch.zeros_like(model.get_parameter(name)) for name in one.masks}
    for step in range(6):
        inputs, labels = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        for name, total in sums.items():
            value = model.get_parameter(name)
            total -= value.grad * value.detach()
        optimizer.step()
    scores = torch.cat([total.reshape(-1) for total in sums.values()])
    kept = torch.cat([mask.reshape(-1) for mask in one.masks.values()])
    assert int(kept.sum()) == 72
    assert scores[kept].min() > scores[~kept].max()


def test_a_method_of_ones_own() -> None:
    """An entry in the table is all it takes."""
    SPARSIFIERS["mine"] = SparsifierMethod(gradual, rising, "as gradual", ("begin", "end"), scope="layerwise")
    try:
        model = net()
        optimizer = adam(model)
        one = guard(model, optimizer, method="mine", density=0.5, steps=5)
        loop(model, optimizer, 5)
    finally:
        assert list(SPARSIFIERS.own()) == ["mine"]
        del SPARSIFIERS["mine"]
    assert density(one.masks) == 0.5
    assert int(one.masks["3.weight"].sum()) == 24  # by its own scope
