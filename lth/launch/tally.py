"""What is done of a build, how fast it goes, and what its arms have reached."""

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from lth.analysis.numbers import duration
from lth.analysis.throughput import flops_per_token, in_words, peak_of
from lth.config import Metric
from lth.launch.network import point_words
from lth.launch.remembered import remembered_pace, stored_values
from lth.launch.words import begun_in_words, for_terminal
from lth.lineage import Execution, Job, Plan, Store, Trained, Unobserved
from lth.lineage.estimate import relative_cost
from lth.studies.prepare import Study

WINDOW_SECONDS = 30.0

SETTLE_SECONDS = 5.0
"""How long trainings move before their pace counts, unless one ends sooner: the first steps load and compile."""

WARM_SECONDS = 2.0
"""How long a pace is measured before it is told."""

BELIEF_SECONDS = 10.0
"""How much of its own pace a build shows before that weighs as much as the pace that the store remembers."""


class Pace:
    """How fast a build goes: costs done, over the last seconds.

    Args:
        clock: gives seconds.
        expected: cost per second that is expected, until the build shows its own; 0 if unknown.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, expected: float = 0.0) -> None:
        self._clock, self._expected = clock, expected
        self._moved, self._began = float("inf"), float("inf")
        self._events: deque[tuple[float, float]] = deque()

    def begin(self) -> None:
        """Note that work is under way."""
        self._began = min(self._began, self._clock())

    def add(self, cost: float, *, is_end: bool = False) -> None:
        """Note that something is done; what comes before the first end of a job, or SETTLE_SECONDS, does not count."""
        now = self._clock()
        self._moved = min(self._moved, now)
        if self._began == float("inf"):
            if is_end or now - self._moved >= SETTLE_SECONDS:
                self.begin()
            return
        self._events.append((now, cost))
        while self._events[0][0] < now - WINDOW_SECONDS:
            self._events.popleft()

    @property
    def per_second(self) -> float:
        """Cost per second; 0 while it is not known yet."""
        now = self._clock()
        seconds = max(0.0, min(WINDOW_SECONDS, now - self._began))
        if seconds < WARM_SECONDS:
            return self._expected
        cost = sum(cost for at, cost in self._events if at >= now - seconds)
        if not self._expected or seconds == WINDOW_SECONDS:
            return cost / seconds
        return (cost + self._expected * BELIEF_SECONDS) / (seconds + BELIEF_SECONDS)


class Quiet(Unobserved):
    """Show nothing.

    Args:
        study: what is built.
        notes: lines that are printed before anything is trained.
        execution: how its jobs run; None if that is not known.
        store: where results are, whose speeds are remembered.
    """

    def __init__(
        self,
        study: Study,
        notes: Sequence[str] = (),
        execution: Execution | None = None,
        store: Store | None = None,
    ) -> None:
        self.study, self.notes, self.execution, self.store = study, notes, execution, store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Tally(Quiet):
    """Count what is done, how fast, and what each arm has reached at each place of the study's axis."""

    def __init__(
        self,
        study: Study,
        notes: Sequence[str] = (),
        execution: Execution | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__(study, notes, execution, store)
        self.metric: Metric = study.task.metrics[0]
        self.arms = list(dict.fromkeys(point.arm for point in study.points))
        self.places = list(dict.fromkeys(point.at.get(study.type.axis, "") for point in study.points))
        trained = {point.arm for point in study.points if isinstance(point.job, Trained)}
        self.measured_arms = [arm for arm in self.arms if arm in trained]
        self.groups: dict[tuple[Any, str], list[str]] = {}
        self._densities: dict[Any, set[float]] = {}
        for point in study.points:
            place = point.at.get(study.type.axis, "")
            keys = self.groups.setdefault((place, point.arm), [])
            if point.job.key not in keys:
                keys.append(point.job.key)
            if "density" in point.at:
                self._densities.setdefault(place, set()).add(float(point.at["density"]))
        self.values: dict[str, float] = {}
        self.done: set[str] = set()
        self.num_stored, self.note, self.pace = 0, "", Pace()
        self.sample = ""
        self.tokens = Pace()
        self._jobs: dict[str, Job] = {}
        self._steps: dict[str, int] = {}
        self._costs: dict[str, tuple[float, float]] = {}

    def planned(self, plan: Plan) -> None:
        begun = begun_in_words(plan.begun.values())
        for line in [*([f"going on: {begun}"] if begun else []), *(self.notes if plan.works else ())]:
            print(for_terminal(line, sys.stderr), file=sys.stderr, flush=True)
        self.plan = plan
        self._jobs = {work.key: work.job for work in plan.works}
        self._total = {work.key: work.steps for work in plan.works}
        self._costs = self._costs_of(plan)
        self.done = {job.key for job in plan.done} - self._jobs.keys()
        self.num_stored = len(self.done)
        if self.store is not None and plan.works:
            self.values |= stored_values(self.study, self.done, self.store, self.metric.name)
        if self.store is not None and self.execution is not None and plan.works:
            self.pace = Pace(expected=remembered_pace(self.study, plan, self.store, self.execution))

    def _costs_of(self, plan: Plan) -> dict[str, tuple[float, float]]:
        """Return what each work costs beside its steps, and for each step, by the engine that trains it."""
        jobs = (work.job for work in plan.works)
        choices = {} if self.execution is None else self.execution.choices(jobs, self.study.sources)
        engines = {key: choice.name for key, choice in choices.items()}
        return {work.key: relative_cost(work, engines.get(work.key, "sparse")) for work in plan.works}

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        now = step - self._jobs[key].first_step
        before = self._steps.get(key)
        if before is not None and now > before:  # at first it tells where it starts, which may be in the middle
            self.note = ""
            self.pace.add((now - before) * self._costs[key][1])
            self.tokens.add((now - before) * self._tokens_per_step(key))
        self._steps[key] = now
        if (value := values.get(f"validation/{self.metric.name}")) is not None:
            self.values[key] = value

    def sampled(self, key: str, step: int, text: str) -> None:
        point = next((point for point in self.study.points if point.job.key == key), None)
        self.sample = f"step {step:,}{'' if point is None else f', {point_words(point)}'}:\n{text}"

    def finished(self, key: str) -> None:
        fixed, per_step = self._costs.get(key, (0.0, 0.0))
        if key in self._steps:
            self.pace.add(max(0, self._total[key] - self._steps[key]) * per_step + fixed, is_end=True)
        self._steps[key] = self._total.get(key, 0)
        self.done.add(key)

    def skipped(self, key: str, reason: str) -> None:
        self._steps[key] = self._total.get(key, 0)
        self.done.add(key)
        self.note = f"left out: {reason}"

    def waiting(self, keys: Sequence[str]) -> None:
        self.note = f"another process does what is needed; waiting ({len(keys)} to do)"

    def noted(self, text: str) -> None:
        self.note = text

    def _tokens_per_step(self, key: str) -> int:
        """Return the tokens of a step of a training; 0 where examples are no tokens."""
        job = self._jobs[key]
        tokens = self.study.subject.clock.tokens_per_step
        return tokens if tokens is not None and isinstance(job, Trained) else 0

    @property
    def throughput(self) -> str:
        """Return tokens a second in words; empty where examples are no tokens, or the pace is not known."""
        speed, clock = self.tokens.per_second, self.study.subject.clock
        if not speed or clock.tokens_per_step is None:
            return ""
        subject = self.study.subject
        block = clock.tokens_per_step // subject.training.batch_size
        execution = self.execution
        devices = ["cpu"] if execution is None else [execution.device] * execution.ranks.size
        peaks = [peak_of(device) if subject.training.precision == "bfloat16" else None for device in devices]
        total = None if None in peaks else sum(peak for peak in peaks if peak is not None)
        return in_words(speed, flops_per_token(subject.module, block), total)

    @property
    def share_done(self) -> float:
        """Fraction of the planned cost that is done."""
        total = sum(fixed + self._total[key] * per_step for key, (fixed, per_step) in self._costs.items())
        return 1 - self._left / total if total else 1.0

    @property
    def _left(self) -> float:
        return sum(
            (self._total[key] - min(self._steps.get(key, 0), self._total[key])) * per_step + fixed
            for key, (fixed, per_step) in self._costs.items()
            if key not in self.done
        )

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present pace; None while that is not known."""
        speed = self.pace.per_second
        return self._left / speed if speed else None

    @property
    def time_left(self) -> str:
        """In words, with tokens a second; empty while the pace is not known, and at the end."""
        seconds = self.seconds_left
        speed = self.throughput
        return f"{duration(seconds)} left" + (f", {speed}" if speed else "") if seconds else ""

    def mean(self, place: Any, arm: str) -> float | None:
        """Return the mean of the last validation values of an arm at a place; None before the first."""
        values = [self.values[key] for key in self.groups.get((place, arm), ()) if key in self.values]
        return sum(values) / len(values) if values else None

    def count(self, place: Any) -> tuple[int, int]:
        """Return the jobs done and in all, of a place."""
        keys = {key for (at, _), keys in self.groups.items() if at == place for key in keys}
        return len(keys & self.done), len(keys)

    def count_trainings(self) -> tuple[int, int]:
        """Return the trainings of this build that are done, and all of them."""
        keys = {key for key, job in self._jobs.items() if isinstance(job, Trained)}
        return len(keys & self.done), len(keys)

    def is_stored(self, key: str) -> bool:
        """Return whether a job was done before this build."""
        return key in self.done and key not in self._jobs

    @property
    def is_moving(self) -> bool:
        """Whether a job has begun."""
        return bool(self._steps)

    @property
    def axis_words(self) -> str:
        """The axis in words: 'level', 'rewind step'."""
        return self.study.type.axis.replace("_", " ")

    def number(self, place: Any) -> str:
        """Return a place of the axis as text."""
        return f"{place:g}" if isinstance(place, int | float) else str(place)

    def density(self, place: Any) -> float | None:
        """Return how dense networks are at a place; None where they differ or have none."""
        densities = self._densities.get(place, set())
        return next(iter(densities)) if len(densities) == 1 else None

    def place_words(self, place: Any) -> str:
        """Return a place in words, with its density where it has one; empty in a study without an axis."""
        density = self.density(place)
        kept = [] if density is None else [f"{100 * density:.3g} % kept"]
        return ", ".join([*([f"{self.axis_words} {self.number(place)}"] if self.study.type.axis else []), *kept])
