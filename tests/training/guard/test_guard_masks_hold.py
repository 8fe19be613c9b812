"""Given masks hold in a hand-written loop: under every optimizer, clipping, scaling, autocast, compilation."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from guard_loops import batch, check_frozen, loop, net, same_bits, some_masks, state
from torch import nn

from lth.training.guard import guard
from lth.training.optimizers import OPTIMIZERS, make_optimizer

OPTIONS: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}


@pytest.mark.parametrize("fill", ["zero", "keep"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_stays_pruned_under_every_optimizer(name: str, fill: Any) -> None:
    model = net()
    masks, before = some_masks(model), state(model)
    decay = 0.0 if name == "rprop" else 0.1  # Rprop has none
    optimizer = make_optimizer(name, model.parameters(), 0.01, decay, OPTIONS.get(name, {}))
    loop(model, optimizer, 3)  # moments of pruned entries are not zero when the guard comes
    before = state(model)
    guard(model, optimizer, masks, fill=fill)
    fills = before if fill == "keep" else None
    loop(model, optimizer, 6, lambda step: check_frozen(model, masks, fills))
    for key, mask in masks.items():
        assert (model.get_parameter(key)[mask] != before[key][mask]).float().mean() > 0.9


@pytest.mark.parametrize("make", [torch.optim.LBFGS, torch.optim.Adafactor, torch.optim.ASGD])
def test_others_put_back_at_the_end_of_their_steps(make: Any) -> None:
    model = net()
    optimizer = make(model.parameters())
    masks = some_masks(model)
    guard(model, optimizer, masks)
    for step in range(3):
        inputs, labels = batch(step)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)  # noqa: B023
            loss.backward()
            return loss

        optimizer.step(closure)
        check_frozen(model, masks)


def test_gradients_are_masked_before_the_clip() -> None:
    """One step of plain SGD by hand: the norm is that of kept gradients, accumulated over two backward passes."""
    model, twin = net(), net()
    masks = some_masks(model, density=0.1)
    for name, mask in masks.items():
        twin.get_parameter(name).data.mul_(mask)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    guard(model, optimizer, masks)
    for each in (model, twin):
        for step in range(2):
            inputs, labels = batch(step)
            F.cross_entropy(each(inputs), labels).backward()
    gradients = {name: value.grad for name, value in twin.named_parameters()}
    kept = {name: value * masks[name] if name in masks else value for name, value in gradients.items()}
    norm = torch.cat([value.reshape(-1) for value in kept.values()]).norm()
    assert norm < 0.9 * torch.cat([value.reshape(-1) for value in gradients.values()]).norm()
    assert torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05) == pytest.approx(float(norm), rel=1e-6)
    optimizer.step()
    for name, value in twin.named_parameters():
        wanted = value - 0.5 * kept[name] * 0.05 / (norm + 1e-6)
        torch.testing.assert_close(model.get_parameter(name), wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("fused", [False, True])
def test_grad_scaler_and_its_skipped_steps(fused: bool) -> None:
    """A fused optimizer is called for skipped steps as well; neither counts."""
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1, fused=fused)
    one = guard(model, optimizer, method="gradual", density=0.25, steps=8, begin=0.0, end=1.0, applications=8)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(10):
        inputs, labels = batch(step)
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(inputs), labels)).backward()
        masks, before, count = one.masks, state(model), one.step
        if step in (3, 4):
            model.get_parameter("3.bias").grad[0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        check_frozen(model, one.masks)
        if step in (3, 4):
            assert one.step == count
            assert all(torch.equal(mask, one.masks[name]) for name, mask in masks.items())
            assert all(same_bits(before[name], value) for name, value in model.named_parameters())
    assert one.step == 8
    assert one.density == pytest.approx(0.25, abs=1e-3)


def test_an_overflow_of_a_pruned_weight_skips_nothing() -> None:
    model = net()
    masks = some_masks(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard(model, optimizer, masks)
    parameter = model.get_parameter("0.weight")
    (parameter * torch.where(masks["0.weight"], 1.0, float("inf"))).sum().backward()
    assert parameter.grad is not None
    assert bool(parameter.grad.isfinite().all())


def test_bfloat16_autocast_and_bfloat16_weights() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        model = net().to(dtype)
        masks = some_masks(model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        guard(model, optimizer, masks)
        for step in range(4):
            inputs, labels = batch(step)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(inputs.to(dtype)).float(), labels)
            loss.backward()
            optimizer.step()
            check_frozen(model, masks)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_modules(backend: str, is_early: bool) -> None:
    """Guarded before it is compiled, or after, where its names have a prefix."""
    torch.compiler.reset()
    model = net()
    masks, optimizer = some_masks(model), torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    if is_early:
        guard(model, optimizer, masks)
    compiled = torch.compile(model, backend=backend)
    if not is_early:
        guard(compiled, optimizer, {f"_orig_mod.{name}": mask for name, mask in masks.items()})
    loop(compiled, optimizer, 4, lambda step: check_frozen(model, masks))
    plain = net()
    other = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    guard(plain, other, masks)
    loop(plain, other, 4)
    for name, value in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), value, rtol=1e-4, atol=1e-5)


def test_tied_weights_once() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = model[0].weight
    mask = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    one = guard(model, optimizer, {"1.weight": mask})
    assert list(one.masks) == ["0.weight"]
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 6)).square().sum().backward()
        optimizer.step()
        check_frozen(model, {"1.weight": mask})
    with pytest.raises(ValueError, match=r"the masks of '0\.weight' and '1\.weight' differ, but the two are one tied"):
        guard(model, optimizer, {"0.weight": ~mask, "1.weight": mask})


def test_it_lets_go() -> None:
    model = net()
    optimizer, masks = torch.optim.SGD(model.parameters(), lr=0.1), some_masks(net())
    with guard(model, optimizer, masks) as one:
        loop(model, optimizer, 1)
        check_frozen(model, masks)
        assert one.density == pytest.approx(sum(int(mask.sum()) for mask in masks.values()) / 240)
        assert repr(one).startswith("Guard(2 parameters, density 0.")
    loop(model, optimizer, 1)
    assert model.get_parameter("0.weight")[~masks["0.weight"]].all()


def test_edits_by_hand_are_put_back_on_request() -> None:
    model = net()
    masks, optimizer = some_masks(model), torch.optim.SGD(model.parameters(), lr=0.1)
    one = guard(model, optimizer, masks)
    with torch.no_grad():
        model.get_parameter("0.weight").add_(1.0)
    one.apply()
    check_frozen(model, masks)


def test_a_frozen_parameter_needs_no_optimizer() -> None:
    model = net()
    model.get_parameter("0.weight").requires_grad_(False)
    masks = some_masks(model)
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1)
    guard(model, optimizer, masks)
    loop(model, optimizer, 2)
    check_frozen(model, masks)


def test_what_does_not_fit_is_one_clear_error() -> None:
    model = net()
    optimizer, masks = torch.optim.SGD(model.parameters(), lr=0.1), some_masks(model)
    half = torch.optim.SGD(model[0].parameters(), lr=0.1)
    mask = masks["0.weight"]
    cases: list[tuple[Any, str]] = [
        (lambda: guard(model, optimizer, {"0.wieght": mask}), "'0.wieght', which is no parameter .* mean '0.weight'"),
        (lambda: guard(model, optimizer, {"0.weight": mask[:1]}), r"shape \(1, 16\), its parameter \(12, 16\)"),
        (lambda: guard(model, optimizer, {"0.weight": mask.float()}), "is torch.float32: masks are torch.bool"),
        (lambda: guard(model, optimizer, {}), "there are no masks"),
        (lambda: guard(model, half, masks), "the optimizer does not hold 3.weight, which the masks name"),
        (lambda: guard(model, object(), masks), "the optimizer is a object, .* give a torch.optim.Optimizer"),  # type: ignore[arg-type]
        (lambda: guard(model, optimizer), "neither masks nor a method: .* gradual, set, rigl"),
        (lambda: guard(model, optimizer, masks, fill="mean"), "unknown fill 'mean'"),  # type: ignore[arg-type]
        (lambda: guard(model, optimizer, masks, density=0.1, steps=3), "steps, density: only a method reads these"),
        (lambda: guard(model, optimizer, method="rigl"), "method 'rigl' must know how long the loop is: give steps"),
        (lambda: guard(model, optimizer, method="rig1", steps=3), "unknown sparsifier 'rig1'. Did you mean 'rigl'"),
        (lambda: guard(model, optimizer, method="set", steps=3, densty=0.1), "unknown setting 'densty'. Did you mean"),
        (lambda: guard(model, optimizer, method="set", steps=3, density=2), "settings of method 'set': density .*less"),
        (lambda: guard(model, optimizer, method="set", steps=3, scope="globl"), "unknown scope 'globl'"),
        (
            lambda: guard(model, optimizer, method="set", steps=3, criterion="random"),
            "criterion 'random' has no effect",
        ),
        (lambda: guard(model, optimizer, method="gradual", steps=3, criterion="randm"), "unknown criterion 'randm'"),
        (lambda: guard(model, optimizer, method="gradual", steps=3, criterion="snip"), "snip"),
        (lambda: guard(model, optimizer, method="noise", steps=3), "'noise' .* steps_per_epoch must be given"),
        (lambda: guard(model, optimizer, method="set", steps=3, prune_only=["9.*"]), r"9\.\*"),
    ]
    before = state(model)
    for call, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    loop(model, torch.optim.SGD(model.parameters(), lr=0.1), 1)  # nothing holds on after an error
    assert (model.get_parameter("0.weight")[~mask] != before["0.weight"][~mask]).float().mean() > 0.9
