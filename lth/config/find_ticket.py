"""The settings of a search for winning tickets."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lth.config.duration import Duration
from lth.config.pruning import Pruning
from lth.config.recipe import Recipe
from lth.config.text import Rates, split_names, split_pairs

Control = Literal["reinit", "random"]


def _rates_or_default(value: Any) -> Any:
    return None if isinstance(value, str) and value == "default" else split_pairs(value)


class FindTicket(Recipe, Pruning):
    """All that determines a search: a recipe, a pruning, and what is done with them. Flat, as users write it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(default="lenet-300-100", description="a model of lth's, or your own as package.module:function")
    data: str = Field(default="digits", description="digits, mnist, fashion-mnist, or the path of an .npz file")
    levels: int = Field(default=8, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    rates: Annotated[Rates | None, BeforeValidator(_rates_or_default)] = Field(  # type: ignore[assignment]
        default=None,
        description="other rates by name pattern, as PATTERN=RATE,...; by default a known model's output layer "
        "has half the rate",
    )
    replicates: int = Field(default=5, ge=1, description="networks with seeds of their own; intervals are over them")
    seed: int = Field(default=0, ge=0, description="the seed that all others are derived from")
    duration: Duration = Field(default="600it", description="length of each training, in steps (it) or epochs (ep)")
    rewind_to: Duration = Field(default="0it", description="where kept weights go back to: 0it is the initialisation")
    kept: Literal["rewind", "keep"] = Field(
        default="rewind",
        description="what kept weights start from: rewind (to that point), keep (as trained: fine-tuning)",
    )
    controls: Annotated[tuple[Control, ...], BeforeValidator(split_names)] = Field(
        default=("reinit", "random"),
        description="arms beside the ticket: reinit (same mask, new weights), random (random mask, same density); none",
    )
    validation: int | None = Field(
        default=None,
        ge=1,
        description="examples held out of the training set [default: 5000, or a tenth if that is less]",
    )
    split_seed: int = Field(default=0, ge=0, description="which examples are held out; the same for all replicates")
    model_version: str = Field(default="1", description="raise it when your own model's code changes its results")
    margin: float = Field(
        default=0.0, ge=0, lt=1, description="accuracy a ticket may lose and still count as matching, as a fraction"
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="level of the intervals over replicates")

    @model_validator(mode="after")
    def _controls_once(self) -> Self:
        if len(set(self.controls)) < len(self.controls):
            raise ValueError(f"controls: {', '.join(self.controls)} names one twice")
        return self

    @property
    def recipe(self) -> Recipe:
        """How each network is trained."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})

    def pruning(self, default_rates: dict[str, float]) -> Pruning:
        """How weights are chosen; `default_rates` serve where the user gave none."""
        fields = {name: getattr(self, name) for name in Pruning.model_fields}
        return Pruning(**fields | {"rates": default_rates if self.rates is None else self.rates})
