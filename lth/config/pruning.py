"""How weights are chosen for pruning."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lth.config.text import Names, Rates


class Pruning(BaseModel):
    """How weights are chosen for pruning. Rates are fractions of the weights that remain."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    criterion: str = Field(default="large_final", description="which weights matter: large_final (magnitude), random")
    scope: str = Field(
        default="layerwise", description="which weights are ranked together: layerwise, global, per-pattern"
    )
    schedule: str = Field(
        default="iterative",
        description="iterative: a level prunes the one before; one-shot: each prunes the dense network",
    )
    rate: float = Field(default=0.2, gt=0, lt=1, description="fraction of the remaining weights removed at each level")
    rates: Rates = Field(default={}, description="other rates by name pattern, as PATTERN=RATE,...")
    prune_only: Names = Field(
        default=(), description="patterns of the parameters to prune; none: Linear and conv weights"
    )
    never_prune: Names = Field(default=(), description="patterns of parameters that stay whole")

    @model_validator(mode="after")
    def _rates_are_rates(self) -> Self:
        for pattern, rate in (self.rates or {}).items():
            if not 0 < rate < 1:
                raise ValueError(f"rates: {pattern!r} has rate {rate}; a rate lies between 0 and 1, both excluded")
        return self
