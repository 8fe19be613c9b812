"""How weights are chosen for pruning."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from lth.config.known import KnownFields
from lth.config.text import Entries, Names, Numbers, Rates, split_pairs


def _rates_or_default(value: Any) -> Any:
    return None if isinstance(value, str) and value == "default" else split_pairs(value)


class Targets(KnownFields):
    """Which weights are pruned, how dense each level is, and which weights matter.

    A level's share is given by `rate`, of the weights that remain, or by `per_level`, of all; the one that does not
    count is left out of what is written down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Pruning"

    criterion: str = Field(
        default="large_final",
        description="which weights matter: large_final (magnitude), magnitude_increase, movement, random, snip, grasp, "
        "synflow, taylor, fisher, lamp, wanda, ... (`lth methods` explains all)",
    )
    scope: str = Field(
        default="layerwise",
        description="which weights are ranked together: layerwise, global, per-pattern, erk, uniform-plus, "
        "owl (by outliers)",
    )
    schedule: str = Field(
        default="iterative",
        description="iterative: a level prunes the one before; one-shot: each prunes the dense network; increasing, "
        "decreasing: as iterative, with a rate that rises or falls by level; list: rates of --level-rates",
    )
    level_rates: Numbers = Field(
        default=(), description="rate of each level, of the remaining weights, for schedule list, as 0.05,0.1,0.15,0.2"
    )
    rate: float = Field(default=0.2, gt=0, lt=1, description="fraction of the remaining weights removed at each level")
    per_level: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="in place of a rate: fraction of all prunable weights removed at each level, as papers on BERT "
        "count; 0.1 keeps 90, 80, 70 %",
    )
    prune_only: Names = Field(
        default=(),
        description="patterns of the parameters to prune, or matrices (all of two dimensions and more, embeddings "
        "too), everything (all parameters), outside-embeddings (all but embeddings and layer norms, head and biases "
        "too); none: weights of linear, conv, recurrent layers, of a model of transformers without its head",
    )
    never_prune: Names = Field(default=(), description="patterns of parameters that stay dense")

    @model_validator(mode="after")
    def _listed_rates(self) -> Self:
        _check_rates({f"level {level}": rate for level, rate in enumerate(self.level_rates, 1)})
        if self.level_rates and self.schedule != "list":
            raise ValueError(f"level_rates: only schedule 'list' reads them; found schedule {self.schedule!r}")
        return self

    @model_validator(mode="after")
    def _one_way_to_count(self) -> Self:
        if self.per_level is None:
            return self
        if "rate" in self.model_fields_set:
            raise ValueError(
                f"rate {self.rate:g} counts of the remaining weights, per_level {self.per_level:g} of all: leave one "
                "out"
            )
        if self.schedule not in ("iterative", "one-shot"):
            raise ValueError(
                "per_level: every level removes as many weights, so it goes with schedule 'iterative' or 'one-shot'; "
                f"found {self.schedule!r}"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_the_other(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        if self.per_level is not None:
            values.pop("rate", None)
        return values


class Pruning(Targets):
    """How weights are chosen after a training. Rates by pattern are fractions of the weights that remain."""

    granularity: str = Field(
        default="unstructured",
        description="what goes as one: unstructured (single weights), output_units, input_units, filters, channels, "
        "heads, neurons, block:RxC, N:M as 2:4",
    )
    rounds: int | None = Field(
        default=None,
        ge=1,
        description="times a criterion scores again on the way to a level [default: 100 for synflow]",
    )
    samples: int = Field(default=10, ge=1, description="training examples of each class for criteria that need data")
    rates: Annotated[Rates | None, BeforeValidator(_rates_or_default)] = Field(
        default=None,
        description="other rates by name pattern, of the remaining weights, as PATTERN=RATE,...; by default a known "
        "model's output layer has half the rate",
    )

    protect: Entries = Field(
        default=(),
        description="single weights that are never pruned, as h.2.mlp.c_proj:447,666;... (or, of a transformer's "
        "down-projections, 2,447,666): others go in their place",
    )
    prune_first: Entries = Field(
        default=(),
        description="single weights that are pruned before all others, at the first level: others stay in their place",
    )

    @model_validator(mode="after")
    def _rates_are_rates(self) -> Self:
        _check_rates({repr(pattern): rate for pattern, rate in (self.rates or {}).items()})
        if self.rates and self.per_level is not None:
            raise ValueError(
                f"rates: {', '.join(map(repr, self.rates))} would give up a fraction of the remaining weights, and "
                "per_level counts of all: leave one out"
            )
        return self


def _check_rates(rates: dict[str, float]) -> None:
    for where, rate in rates.items():
        if not 0 < rate < 1:
            raise ValueError(f"rates: {where} has rate {rate}; a rate lies between 0 and 1, both excluded")
