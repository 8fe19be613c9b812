"""The planner's table: exactly on target, always, and before anything runs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lth.config.sparsifier import MaskSchedule, Sparsifier
from lth.training.sparsifiers import SPARSIFIERS, Application, check_sparsifier, plan_sparsifier, scope_of

METHODS = list(SPARSIFIERS)

settings_of = st.builds(
    lambda method, density, curve, shares, count: Sparsifier(
        method=method, density=density, curve=curve, begin=shares[0], end=shares[1], applications=count
    ),
    st.sampled_from(METHODS),
    st.floats(0.001, 0.999),
    st.sampled_from(["cubic", "linear"]),
    st.tuples(st.floats(0, 1), st.floats(0.001, 1)).map(sorted).filter(lambda shares: shares[1] > 0),
    st.integers(1, 40),
)


@given(settings=settings_of, length=st.integers(1, 500), first_step=st.integers(0, 100), epoch=st.integers(1, 90))
def test_always_ends_exactly_on_target(settings: Sparsifier, length: int, first_step: int, epoch: int) -> None:
    plan = plan_sparsifier(settings, first_step + length, first_step=first_step, steps_per_epoch=epoch)
    end = first_step + int(settings.end * length + 0.5)
    steps, densities = [each.step for each in plan], [each.density for each in plan]
    assert densities[-1] == settings.density
    assert densities == sorted(densities, reverse=True)
    assert all(0 < density < 1 for density in densities)
    assert steps == sorted(set(steps))
    assert steps[0] >= first_step
    assert steps[-1] <= end
    if settings.method in ("gradual", "soft", "noise"):
        assert steps[-1] == end
        assert steps[0] >= first_step + int(settings.begin * length + 0.5)
    if settings.method in ("gradual", "soft") and end - steps[0] >= settings.applications:
        assert len(plan) == settings.applications
    if settings.method in ("set", "rigl"):
        assert plan[0] == Application(first_step, settings.density, "draw")
        fractions = [each.fraction for each in plan[1:]]
        assert fractions == sorted(fractions, reverse=True)
        assert all(0 < fraction <= settings.update_fraction for fraction in fractions)
        assert all(step < first_step + length for step in steps)  # there is a gradient for each


def test_cubic_by_hand() -> None:
    """Steps 1000: begin 150, end 850, ten changes 70 apart; 0.8 (1 - (1 - i/10)^3)."""
    table = plan_sparsifier(Sparsifier(density=0.2), 1000)
    assert [each.step for each in table] == [220, 290, 360, 430, 500, 570, 640, 710, 780, 850]
    wanted = [0.2168, 0.3904, 0.5256, 0.6272, 0.7, 0.7488, 0.7784, 0.7936, 0.7992, 0.8]
    assert [1 - each.density for each in table] == pytest.approx(wanted, abs=1e-12)


def test_linear_by_hand() -> None:
    table = plan_sparsifier(Sparsifier(density=0.5, curve="linear", begin=0, end=1, applications=4), 10)
    assert [(each.step, each.density) for each in table] == [(2, 0.875), (5, 0.75), (7, 0.625), (10, 0.5)]


def test_cosine_by_hand() -> None:
    """100 steps, exchanges from 20 up to 80 in four parts: 0.3 (1 + cos(pi t / 80)) / 2."""
    settings = Sparsifier(method="rigl", density=0.2, begin=0.2, end=0.8, applications=4)
    plan = plan_sparsifier(settings, 100)
    assert [(each.step, each.action) for each in plan] == [
        (0, "draw"),
        (20, "regrow"),
        (35, "regrow"),
        (50, "regrow"),
        (65, "regrow"),
    ]
    wanted = [0.0, 0.2560660, 0.1792635, 0.0925975, 0.0252796]
    assert [each.fraction for each in plan] == pytest.approx(wanted, abs=1e-6)
    assert plan[1].words == "drop and regrow 25.6% of each layer's kept weights"


def test_noise_changes_at_every_epoch() -> None:
    """Shares are of the steps from the first one on; epochs count from step 0."""
    plan = plan_sparsifier(Sparsifier(method="noise", density=0.2), 120, first_step=20, steps_per_epoch=30)
    assert [(each.step, each.action) for each in plan] == [
        (35, "noise"),
        (60, "noise"),
        (90, "noise"),
        (105, "harden"),
    ]
    with pytest.raises(ValueError, match="method 'noise' changes its masks every epoch: steps_per_epoch"):
        plan_sparsifier(Sparsifier(method="noise"), 120)


def test_soft_is_hard_at_its_last_change_alone() -> None:
    actions = [each.action for each in plan_sparsifier(Sparsifier(method="soft", applications=3), 100)]
    assert actions == ["zero", "zero", "harden"]
    assert [each.is_soft for each in plan_sparsifier(Sparsifier(method="soft", applications=3), 100)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("method", METHODS)
def test_one_step_is_enough(method: Any) -> None:
    plan = plan_sparsifier(Sparsifier(method=method, density=0.25), 1, steps_per_epoch=1)
    assert plan[-1].density == 0.25


def test_no_step_is_too_few() -> None:
    with pytest.raises(ValueError, match="from step 5 to 5 has no steps to prune in"):
        plan_sparsifier(Sparsifier(), 5, first_step=5)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_what_it_says(method: str) -> None:
    """Fields that its entry does not list change no plan; those listed are fields of the settings."""
    entry = SPARSIFIERS[method]
    assert set(entry.reads) <= set(MaskSchedule.model_fields)
    assert entry.words
    others: dict[str, Any] = {"begin": 0.3, "end": 0.6, "applications": 3, "curve": "linear", "update_fraction": 0.5}
    usual = plan_sparsifier(Sparsifier(method=method), 100, steps_per_epoch=10)
    for name, value in others.items():
        changed = plan_sparsifier(Sparsifier(method=method, **{name: value}), 100, steps_per_epoch=10)
        assert (changed != usual) == (name in entry.reads), name


@pytest.mark.parametrize(
    ("method", "scope"),
    [("gradual", "global"), ("set", "erk"), ("rigl", "erk"), ("soft", "global"), ("noise", "global")],
)
def test_each_method_has_a_scope_of_its_own(method: str, scope: str) -> None:
    assert scope_of(Sparsifier(method=method)) == scope
    assert scope_of(Sparsifier(method=method, scope="layerwise")) == "layerwise"


def test_settings_that_do_not_fit_the_table() -> None:
    with pytest.raises(ValueError, match="unknown sparsifier 'rig1'. Did you mean 'rigl'"):
        plan_sparsifier(Sparsifier(method="rig1"), 10)
    with pytest.raises(
        ValueError, match="criterion 'random' has no effect: sparsifier 'set' drops .* gradual, soft, noise"
    ):
        check_sparsifier(Sparsifier(method="set", criterion="random"))
    check_sparsifier(Sparsifier(method="gradual", criterion="random"))
