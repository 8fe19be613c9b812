"""What kept and pruned weights start from: each choice is a node, made of those of a level.

Sources: Zhou et al. 2019, arXiv:1905.01067, Sections 3 (kept weights) and 4 (pruned ones); learning-rate rewinding:
Renda et al. 2020, arXiv:2003.02389; rewinding to a step k > 0: Frankle et al. 2020, arXiv:1903.01611.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lth.config import Duration, Table
from lth.config.text import Entries

if TYPE_CHECKING:
    from lth.lineage import MasksNode, Trained, WeightsNode


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What the choices of a level are made of.

    Attributes:
        masks: the new masks.
        initial: the initialisation that kept weights grew from.
        origin: the state at the rewind step.
        source: the training that kept weights may be taken from, as trained.
        decided_by: the training that the masks were chosen by.
        redrawn: a new draw of the model's initialisation.
        dense: the training of the dense network.
        number: counts from 1.
        chosen: `prune_only` and `never_prune`, which say what is prunable.
    """

    masks: "MasksNode"
    initial: "WeightsNode"
    origin: "WeightsNode"
    source: "Trained"
    decided_by: "Trained"
    redrawn: "WeightsNode"
    dense: "Trained"
    number: int
    chosen: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeptAction:
    """What kept weights start from.

    Attributes:
        words: one line for people.
        make: a level -> the state that they are taken from.
        goes_on: how the training goes on: at the `rewind` step, from `zero`, or at the `last` learning rate
            (fine-tuning), for as many steps as there are after the rewind step.
        as_trained: whether they keep their trained values, and so may keep their optimizer moments.
    """

    words: str
    make: "Callable[[Level], WeightsNode]"
    goes_on: Literal["rewind", "zero", "last"] = "rewind"
    as_trained: bool = False


@dataclass(frozen=True, slots=True)
class PrunedAction:
    """What becomes of pruned weights.

    Attributes:
        words: one line for people.
        make: a level -> the state that they are taken from.
        trains: whether they train on; else they are frozen at that value.
        done: what was done to them, for a verdict ("set to zero").
    """

    words: str
    make: "Callable[[Level], WeightsNode]"
    trains: bool = False
    done: str = "changed"


def _permuted(level: Level) -> "WeightsNode":
    from lth.lineage import Permuted

    return Permuted(of=level.origin, draw=level.number, **level.chosen)


def _reshuffled(level: Level) -> "WeightsNode":
    from lth.lineage import Reshuffled

    return Reshuffled(of=level.origin, masks=level.masks)


def _constant(level: Level) -> "WeightsNode":
    from lth.lineage import Constant

    return Constant(of=level.origin, draw=level.number, **level.chosen)


def _signed(make: "Callable[[Level], WeightsNode]") -> "Callable[[Level], WeightsNode]":
    def signed(level: Level) -> "WeightsNode":
        from lth.lineage import Signed

        return Signed(of=make(level), signs=level.initial, **level.chosen)

    return signed


def _redrawn(level: Level) -> "WeightsNode":
    return level.redrawn


def _zeros(level: Level) -> "WeightsNode":
    from lth.lineage import Zeros

    return Zeros(like=level.initial)


def _zeroed(toward: bool) -> "Callable[[Level], WeightsNode]":
    def zeroed(level: Level) -> "WeightsNode":
        from lth.lineage import ZeroedByMovement

        decided_by = level.decided_by
        return ZeroedByMovement(
            trained=decided_by,
            initial=decided_by.root,
            otherwise=level.initial,
            toward=toward,
            **level.chosen,
        )

    return zeroed


def _noise(distribution: str) -> "Callable[[Level], WeightsNode]":
    def noise(level: Level) -> "WeightsNode":
        from lth.lineage import Noise

        return Noise(of=level.initial, distribution=distribution, draw=level.number, **level.chosen)

    return noise


KEPT_ACTIONS: Table[KeptAction] = Table(
    "choice for kept weights",
    {
        "rewind": KeptAction(
            "As they were at the rewind step, the initialisation by default.", lambda level: level.origin
        ),
        "keep": KeptAction(
            "As they were trained, and trained on at the last learning rate: fine-tuning.",
            lambda level: level.source,
            "last",
            as_trained=True,
        ),
        "lr_rewind": KeptAction(
            "As they were trained, while the learning-rate schedule goes back to the rewind step.",
            lambda level: level.source,
            as_trained=True,
        ),
        "reinit": KeptAction("A new draw of the model's initialisation.", _redrawn, "zero"),
        "signed_reinit": KeptAction("A new draw with the signs of the initial weights.", _signed(_redrawn), "zero"),
        "permute": KeptAction(
            "The layer's values at the rewind step in a random order, those of pruned weights among them.", _permuted
        ),
        "signed_permute": KeptAction(
            "The layer's values at the rewind step in a random order, with the signs of the initial weights.",
            _signed(_permuted),
        ),
        "shuffle": KeptAction(
            "The kept weights' values at the rewind step in a random order among themselves.", _reshuffled
        ),
        "signed_shuffle": KeptAction(
            "The kept weights' values in a random order among themselves, with the signs of the initial weights.",
            _signed(_reshuffled),
        ),
        "constant": KeptAction("The layer's standard deviation with random signs.", _constant),
        "signed_constant": KeptAction(
            "The layer's standard deviation with the signs of the initial weights.", _signed(_constant)
        ),
    },
)

PRUNED_ACTIONS: Table[PrunedAction] = Table(
    "choice for pruned weights",
    {
        "zero": PrunedAction("Zero: the usual end of a pruned weight.", _zeros),
        "freeze": PrunedAction("The initial values.", lambda level: level.initial),
        "zero_if_toward_zero": PrunedAction(
            "Zero where training moved the weight toward zero, else its initial value.", _zeroed(True)
        ),
        "zero_if_away_from_zero": PrunedAction(
            "Zero where training moved it away from zero, else its initial value: the opposite control.",
            _zeroed(False),
        ),
        "normal_noise": PrunedAction("Normal noise as strong as the initial values.", _noise("normal")),
        "uniform_noise": PrunedAction("Uniform noise as strong as the initial values.", _noise("uniform")),
        "reinit": PrunedAction(
            "A new draw of the initialisation; they train on.", _redrawn, trains=True, done="drawn anew"
        ),
        "soft": PrunedAction("Zero; they train on.", _zeros, trains=True, done="set to zero"),
    },
)


class Restart(BaseModel):
    """What a level starts from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    group: ClassVar[str] = "Pruning"

    rewind_to: Duration = Field(
        default="0it",
        description="where kept weights go back to: 0it is the initialisation, 500it or 1ep late rewinding; with kept "
        "'keep', the step after which as many are left as fine-tuning takes",
    )
    head: Literal["rewind", "redraw"] = Field(
        default="rewind",
        description="a head that pre-trained weights lack: rewind (as at the rewind step), redraw (drawn anew for each "
        "level, by a seed of its own)",
    )
    kept: str = Field(
        default="rewind",
        description="what kept weights start from: rewind (to that point); keep (as trained, at the last learning "
        "rate: fine-tuning); lr_rewind (as trained, the schedule goes back); reinit (a new draw), permute (the layer's "
        "initial values), shuffle (those of the kept weights), constant; each also as signed_... (initial signs)",
    )
    pruned: str = Field(
        default="zero",
        description="what becomes of pruned weights: zero; freeze (at the initial value); zero_if_toward_zero, "
        "zero_if_away_from_zero (else frozen); normal_noise, uniform_noise; reinit, soft (redrawn or zero, and trained "
        "on)",
    )

    transplant: Entries = Field(
        default=(),
        description="single weights that tickets start with as the dense network was trained: all others are rewound",
    )

    @field_validator("kept")
    @classmethod
    def _kept_is_known(cls, name: str) -> str:
        KEPT_ACTIONS.pick(name)
        return name

    @field_validator("pruned")
    @classmethod
    def _pruned_is_known(cls, name: str) -> str:
        PRUNED_ACTIONS.pick(name)
        return name
