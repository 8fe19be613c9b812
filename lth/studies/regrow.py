"""What was pruned is drawn anew and trains on, at a rate that starts high and falls: does the network gain by it?

Each round prunes a share of all prunable weights by the criterion, draws these anew, leaves the kept ones as trained,
and trains the whole network on. Rounds are planned up to a limit; the verdict says from which one nothing is gained.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lth.analysis.documents import Interval, Results, Verdict
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Pruning, Recipe, StudySettings
from lth.config.text import Names
from lth.studies.study_type import StudyType, criterion_traces

if TYPE_CHECKING:
    from lth.lineage import MasksNode, Reader, Trained
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("normal", "the same rounds of training with nothing redrawn", "baseline"),
    Arm("regrown", "the lowest weights drawn anew at the start of each round", "subject"),
    Arm("random", "as many weights of every layer drawn anew, chosen at random", "control"),
)


class Redrawn(BaseModel):
    """Which weights are drawn anew."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Pruning"

    criterion: str = Field(
        default="large_final",
        description="which weights matter and are left as trained: large_final (magnitude), magnitude_increase, "
        "movement, ... (`lth methods` explains all)",
    )
    scope: str = Field(
        default="layerwise", description="which weights are ranked together: layerwise, global, erk, ..."
    )
    prune_only: Names = Field(
        default=(), description="patterns of the parameters to redraw; none: weights of linear, conv, recurrent layers"
    )
    never_prune: Names = Field(default=(), description="patterns of parameters that are never redrawn")


class Regrow(StudySettings):
    """How many rounds, and what share of the weights each of them draws anew."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    limit: int = Field(default=6, ge=2, le=1000, description="rounds that redraw, after a first training")
    first_rate: float = Field(default=0.5, gt=0, lt=1, description="share of all prunable weights redrawn at round 1")
    last_rate: float = Field(
        default=0.05, gt=0, lt=1, description="that share at the last round; between them it falls geometrically"
    )
    training: Recipe = Recipe(duration="300it")
    masks: Redrawn = Redrawn()

    @model_validator(mode="after")
    def _the_rate_falls(self) -> Self:
        if self.last_rate > self.first_rate:
            raise ValueError(
                f"last_rate {self.last_rate:g} is above first_rate {self.first_rate:g}: the rate falls, so give a "
                "lower one"
            )
        return self


def rate_of(settings: Regrow, number: int) -> float:
    """Return the share of the prunable weights that a round draws anew; rounds count from 1."""
    progress = (number - 1) / (settings.limit - 1)
    return float(settings.first_rate * (settings.last_rate / settings.first_rate) ** progress)


def _pruning(settings: Regrow, number: int) -> Pruning:
    """Return how a round chooses what it draws anew: all layers at one rate, the output layer too."""
    return Pruning(**settings.masks.model_dump(), rate=rate_of(settings, number), rates={})


def derive(settings: Regrow, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the first training, then the three networks at each round.

    All arms go through the same rounds: the same examples in the same order, the learning-rate schedule and the
    optimizer's moments from the start again. What is drawn anew is the same draw for both arms that redraw.
    """
    from lth.lineage import Combined, Pruned, Shuffled
    from lth.training import Seeds, derive_seed

    first = subject.train(subject.initial(seeds), None, seeds)
    yield Point(first, "normal", replicate, {"round": 0})
    normal = regrown = control = first
    for number in range(1, settings.limit + 1):
        order, augmentation = (derive_seed(each, "round", number) for each in (seeds.order, seeds.augmentation))
        own = Seeds(init=seeds.init, order=order, augmentation=augmentation)
        fresh = subject.initial(seeds, "regrown", number)

        def on(before: "Trained", masks: "MasksNode", fresh: Any = fresh, own: "Seeds" = own) -> "Trained":
            return subject.train(Combined(masks=masks, kept=before, pruned=fresh), None, own)

        masks = Pruned.after(regrown, _pruning(settings, number), 1)
        normal, regrown = subject.train(normal, None, own), on(regrown, masks)
        control = on(control, Shuffled(masks=masks))
        for arm, job in (("normal", normal), ("regrown", regrown), ("random", control)):
            yield Point(job, arm, replicate, {"round": number})


def resolve(settings: Regrow, subject: "Subject") -> Regrow:
    """Check the names, and that the first round leaves weights in every layer."""
    from lth.sparsity import SCOPES, criterion

    criterion(settings.masks.criterion)
    SCOPES.pick(settings.masks.scope)
    subject.densities(_pruning(settings, 1), 1)
    return settings


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say from which round nothing more is gained, by the validation part, and compare there and at the last round."""
    limit = max(int(row["at"]["round"]) for row in results["rows"])
    config = results["config"]
    rates = [
        {"arm": "regrown", "round": number, "rate": 100 * config["first_rate"] * ratio ** ((number - 1) / (limit - 1))}
        for ratio in [config["last_rate"] / config["first_rate"]]
        for number in range(1, limit + 1)
    ]
    return Conclusion(_verdict(results, _validated(reader, points, results), limit), {"rates": rates})


def _validated(reader: "Reader", points: Sequence[Point], results: Results) -> dict[int, list[float | None]]:
    """Return what the regrown network reaches on the validation part at the end of each round, over replicates."""
    from lth.training import read_history

    found: dict[int, list[float | None]] = {}
    for point in sorted(points, key=lambda point: point.replicate):
        number = int(point.at["round"])
        if point.arm == "regrown" or number == 0:
            history = read_history(reader.document(point.job)) if reader.store.has(point.job) else None
            ended = history is not None and history.diverged_at is None
            curve = history.curves.get(f"validation/{results['primary']}", []) if history and ended else []
            found.setdefault(number, []).append(curve[-1] if curve else None)
    return found


def plateau(validated: dict[int, list[float | None]], better: str, confidence: float) -> int:
    """Return the first round after which no later one is better with the whole interval of the paired difference.

    Args:
        validated: values of each round, over replicates.
        better: which direction is better, `higher` or `lower`.
        confidence: of the intervals.
    """
    from lth.analysis.statistics import paired_difference

    def gains(later: int, earlier: int) -> bool:
        difference = paired_difference(validated[later], validated[earlier], confidence)
        low, high = difference["low"], difference["high"]
        if low is None or high is None or low == high:
            return False
        return low > 0 if better == "higher" else high < 0

    rounds = sorted(validated)
    return next(number for number in rounds if not any(gains(later, number) for later in rounds if later > number))


def _verdict(results: Results, validated: dict[int, list[float | None]], limit: int) -> Verdict:
    from lth.analysis.facts import studied
    from lth.analysis.numbers import show
    from lth.analysis.pairs import compare_pairs, how_tested, pair_in_words, unlearned, values_by_place
    from lth.analysis.reading import metric_of

    metric, reached = metric_of(results, "primary"), values_by_place(results, "round")
    found = plateau(validated, metric.better, results["confidence"])
    places = sorted({found or limit, limit})
    wanted = [(number, rival) for number in places for rival in ("normal", "random")]
    differing = [(reached["regrown", number]["values"], reached[rival, number]["values"]) for number, rival in wanted]
    pairs = dict(zip(wanted, compare_pairs(differing, metric, results["confidence"]), strict=True))
    sentences = []
    for number in places:
        value = show(reached["regrown", number]["mean"], metric)
        beside = [
            f"{words} {show(reached[rival, number]['mean'], metric)}, {pair_in_words(pairs[number, rival], results)}"
            for rival, words in (("normal", "nothing redrawn"), ("random", "a random choice redrawn"))
        ]
        at = f"At {'the last' if number == limit else 'that'} round, {number}"
        sentences.append(f"{at}: {metric.part} {metric.name} {value}; {'; '.join(beside)}.")
    warning = unlearned(results)
    here = [pairs[places[0], rival] for rival in ("normal", "random")]
    is_better = not warning and all(pair.gain is not None and pair.gain > 0 for pair in here)
    is_settled = is_better and all(pair.is_better for pair in here)
    state = "a settled gain" if is_settled else "gain not settled" if is_better else "no gain"
    return {
        "found": is_better,
        "confirmed": is_settled if is_better else None,
        "summary": f"{state}, {_where(found, limit, reached)}",
        "title": f"{studied(results['config'])}, weights drawn anew: {state}",
        "sentences": [*warning, _first(here, state), _plateau_words(found, limit, reached), *sentences,
                      how_tested(len(pairs), results)],
        "tiles": [],
        "at": {"round": places[0]},
    }  # fmt: skip


def _where(found: int, limit: int, reached: dict[tuple[str, float | str], Interval]) -> str:
    if len(reached["regrown", limit]["values"]) < 2:
        return "one replicate, so no plateau"
    return f"plateau from round {found}" if found < limit else f"no plateau in {limit} rounds"


def _first(here: Sequence[Any], state: str) -> str:
    if state == "no gain" and here[0].is_worse:
        return "Drawing the lowest weights anew makes the network worse than as much training with nothing redrawn."
    return (
        f"Drawing the lowest weights anew, beside as much training with nothing redrawn and beside a random choice: "
        f"{state}."
    )


def _plateau_words(found: int, limit: int, reached: dict[tuple[str, float | str], Interval]) -> str:
    rule = (
        "by the validation part: the first round after which no later one is better with the whole interval of the "
        "paired difference"
    )
    if len(reached["regrown", limit]["values"]) < 2:
        return f"A plateau ({rule}) needs intervals: take two replicates or more."
    if found == limit:
        return f"No plateau in {limit} rounds ({rule}): the last one was still better than others. Raise --limit."
    if found == 0:
        return f"No gain over the first training is settled, so the plateau begins with it ({rule})."
    return f"The plateau begins at round {found} of {limit} ({rule})."


def conv_2_on_cifar_10() -> Regrow:
    """Return Conv-2 on CIFAR-10, trained as in Frankle & Carbin 2019: rounds of two epochs and a half."""
    return Regrow(
        model="conv-2", data="cifar-10", lr=2e-4, duration="2000it", limit=10, last_rate=0.02, evaluate_every=500
    )


REGROW = StudyType(
    name="regrow",
    words="Draw pruned weights anew at a falling rate and train on, beside nothing redrawn and a random choice.",
    settings=Regrow,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=criterion_traces,
    axis="round",
    plots=(
        Plot("quality", "Round by round", "At the end of each round's training.", "round", x_words="Round"),
        Plot(
            "rates",
            "How much is drawn anew",
            "Share of the prunable weights at the start of each round.",
            "round",
            "rate",
            x_words="Round",
            y_words="Redrawn (%)",
            table="rates",
        ),
    ),
    presets={
        "digits": lambda: Regrow(subset=300, validation=400, duration="200it", batch_size=30),
        "lenet-mnist": lambda: Regrow(data="mnist", duration="2000it", limit=10, evaluate_every=500),
        "conv-2-cifar-10": conv_2_on_cifar_10,
    },
    first=("limit", "first_rate"),
    examples=(
        "lth regrow                                       # on digits, a minute",
        "lth regrow --limit 10 --first-rate 0.8 --last-rate 0.02",
        "lth regrow lenet-300-100 mnist ./datasets        # half an hour",
    ),
)
