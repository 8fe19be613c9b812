"""When a training changes its masks, and to what density: the planners that methods choose from."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from lth.config.sparsifier import Sparsifier

WORDS = {
    "draw": "draw random masks",
    "prune": "prune the lowest weights",
    "regrow": "drop and regrow {fraction:.1%} of each layer's kept weights",
    "zero": "zero the lowest weights, which train on",
    "noise": "add noise to the lowest weights, which are frozen for an epoch",
    "harden": "prune the lowest weights for good",
    "release": "take the noise off: every weight has its own value again",
}


@dataclass(frozen=True, slots=True)
class Application:
    """One change of the masks.

    Attributes:
        step: optimizer steps done before it.
        density: fraction of the prunable weights that is kept after it.
        action: what is done, in a word of the method's own.
        fraction: share of a layer's kept weights that is exchanged for others; 0 where the change exchanges none.
        is_soft: whether weights that it prunes go on training until a later change that is not soft.
    """

    step: int
    density: float
    action: str
    fraction: float = 0.0
    is_soft: bool = False

    @property
    def words(self) -> str:
        """What is done, for people."""
        return WORDS.get(self.action, self.action).format(fraction=self.fraction)


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of one training.

    Attributes:
        first: where it starts.
        last: where it ends.
        steps_per_epoch: None where the caller does not know.
    """

    first: int
    last: int
    steps_per_epoch: int | None = None

    def at(self, share: float) -> int:
        """Return the step at a share of the training."""
        return self.first + int(share * (self.last - self.first) + 0.5)


Planner = Callable[[Sparsifier, Span], list[Application]]


def rising(settings: Sparsifier, span: Span) -> list[Application]:
    """Prune more and more along the curve, at equal distances after `begin`, the last time at `end` on the target.

    With fewer steps than applications there is one a step, and always at least one.

    Source: Zhu & Gupta 2017, arXiv:1710.01878 (cubic curve).
    """
    steps = _spread(span.at(settings.begin), span.at(settings.end), settings.applications)[1:] or [
        span.at(settings.end)
    ]
    densities = [_fallen(settings, index / len(steps)) for index in range(1, len(steps))] + [settings.density]
    return [Application(step, density, "prune") for step, density in zip(steps, densities, strict=True)]


def rising_softly(settings: Sparsifier, span: Span) -> list[Application]:
    """Prune as `rising` does, but let pruned weights train on until the last change."""
    *soft, last = rising(settings, span)
    return [
        *(Application(each.step, each.density, "zero", is_soft=True) for each in soft),
        Application(last.step, last.density, "harden"),
    ]


def draw_and_regrow(settings: Sparsifier, span: Span) -> list[Application]:
    """Draw masks of the target density at once; exchange weights from `begin` on, a share that falls to zero at `end`.

    Source: Evci et al. 2020, arXiv:1911.11134 (cosine).
    """
    end = span.at(settings.end)
    exchanges = [
        Application(
            step, settings.density, "regrow", settings.update_fraction * _cosine(step - span.first, end - span.first)
        )
        for step in _spread(max(span.at(settings.begin), span.first + 1), end, settings.applications)[:-1]
    ]
    return [Application(span.first, settings.density, "draw"), *exchanges]


def each_epoch(settings: Sparsifier, span: Span) -> list[Application]:
    """Draw noise at `begin` and at every start of an epoch, and prune for good at `end`, or give all weights back.

    Raises:
        ValueError: if the length of an epoch is not known.
    """
    if span.steps_per_epoch is None:
        raise ValueError(f"method {settings.method!r} changes its masks every epoch: steps_per_epoch must be given")
    begin, end, epoch = span.at(settings.begin), span.at(settings.end), span.steps_per_epoch
    noisy = [begin, *range(begin + epoch - begin % epoch, end, epoch)] if begin < end else []
    return [
        *(Application(step, settings.density, "noise") for step in noisy),
        Application(end, 1.0, "release") if settings.release else Application(end, settings.density, "harden"),
    ]


def _spread(begin: int, end: int, count: int) -> list[int]:
    """Return `count` equal distances from begin to end, both included; fewer where steps are fewer, [end] for none."""
    count = min(count, end - begin)
    return [begin + index * (end - begin) // count for index in range(count + 1)] if count > 0 else [end]


def _fallen(settings: Sparsifier, progress: float) -> float:
    """Return the density at a share of the way from dense to the target."""
    risen = 1 - (1 - progress) ** 3 if settings.curve == "cubic" else progress
    return 1 - (1 - settings.density) * risen


def _cosine(step: int, end: int) -> float:
    return (1 + cos(pi * step / end)) / 2
