"""The methods by name, and the plan of a training that uses one."""

from lth.config.choices import Table
from lth.config.sparsifier import Sparsifier
from lth.training.sparsifiers.gradual import gradual
from lth.training.sparsifiers.method import SparsifierMethod
from lth.training.sparsifiers.noise import noise
from lth.training.sparsifiers.rigl import rigl
from lth.training.sparsifiers.schedule import (
    Application,
    Span,
    draw_and_regrow,
    each_epoch,
    rising,
    rising_softly,
)
from lth.training.sparsifiers.soft import soft
from lth.training.sparsifiers.sparse_evolution import sparse_evolution

_RISES = ("begin", "end", "applications", "curve", "moments")
_EXCHANGES = ("begin", "end", "applications", "update_fraction", "moments")

SPARSIFIERS: Table[SparsifierMethod] = Table(
    "sparsifier",
    {
        "gradual": SparsifierMethod(gradual, rising, "prunes more and more weights, step by step", _RISES),
        "set": SparsifierMethod(
            sparse_evolution,
            draw_and_regrow,
            "drops small weights and regrows as many at random",
            _EXCHANGES,
            scope="erk",
            criterion=False,
        ),
        "rigl": SparsifierMethod(
            rigl,
            draw_and_regrow,
            "drops small weights and regrows as many where gradients are large",
            _EXCHANGES,
            scope="erk",
            grows_by_gradient=True,
            criterion=False,
        ),
        "soft": SparsifierMethod(soft, rising_softly, "zeroed weights train on until the last change", _RISES),
        "noise": SparsifierMethod(
            noise,
            each_epoch,
            "the lowest weights are noise, drawn anew every epoch, until the end prunes them",
            ("begin", "end", "noise", "noise_scale", "moments"),
            moves_frozen=True,
        ),
    },
)
"""Ways to prune within a training by name: `--sparsifier`, and the method of a guard."""


def plan_sparsifier(
    settings: Sparsifier, steps: int, *, first_step: int = 0, steps_per_epoch: int | None = None
) -> list[Application]:
    """Return every change of the masks in one training, in order, the last one exactly on the target.

    Args:
        settings: what is asked for; `begin` and `end` are shares of the steps from `first_step` to `steps`.
        steps: where the training ends, in optimizer steps.
        first_step: where it starts.
        steps_per_epoch: needed by methods that change their masks every epoch.
    Raises:
        ValueError: if the method is unknown, the training has no steps, or it must know the length of an epoch.
    """
    if steps <= first_step:
        raise ValueError(f"a training from step {first_step} to {steps} has no steps to prune in: it needs at least 1")
    return SPARSIFIERS.pick(settings.method).plan(settings, Span(first_step, steps, steps_per_epoch))


def scope_of(settings: Sparsifier) -> str:
    """Return the scope in use: the method's own where none is asked for."""
    return settings.scope or SPARSIFIERS.pick(settings.method).scope


def check_sparsifier(settings: Sparsifier) -> None:
    """Raise a ValueError if the method is unknown, or does not read the criterion or the end that is asked for."""
    if settings.release and settings.method != "noise":
        raise ValueError(f"release: only 'noise' gives weights their values back; found {settings.method!r}")
    default = Sparsifier.model_fields["criterion"].default
    if not SPARSIFIERS.pick(settings.method).criterion and settings.criterion != default:
        readers = [name for name, method in SPARSIFIERS.items() if method.criterion]
        raise ValueError(
            f"criterion {settings.criterion!r} has no effect: sparsifier {settings.method!r} drops weights by "
            f"magnitude. Leave it at {default!r}, or use one of {', '.join(readers)}"
        )
