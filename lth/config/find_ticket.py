"""The settings of a search for winning tickets."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lth.config.duration import Duration
from lth.config.pruning import Pruning
from lth.config.recipe import Recipe
from lth.config.sparsifier import MaskChanges, Sparsifier
from lth.config.text import Rates, split_names, split_pairs

Control = Literal["reinit", "random"]

Kept = Literal[
    "rewind", "keep", "lr_rewind", "reinit", "signed_reinit", "permute", "signed_permute", "shuffle", "signed_shuffle",
    "constant", "signed_constant",
]  # fmt: skip

KEPT_WORDS: dict[str, str] = {
    "rewind": "As they were at the rewind step, the initialisation by default.",
    "keep": "As they were trained, and trained on at the last learning rate: fine-tuning.",
    "lr_rewind": "As they were trained, while the learning-rate schedule goes back to the rewind step.",
    "reinit": "A new draw of the model's initialisation.",
    "signed_reinit": "A new draw with the signs of the initial weights.",
    "permute": "The layer's values at the rewind step in a random order, those of pruned weights among them.",
    "signed_permute": "The same with the signs of the initial weights.",
    "shuffle": "The kept weights' values at the rewind step in a random order among themselves.",
    "signed_shuffle": "The same with the signs of the initial weights.",
    "constant": "The layer's standard deviation with random signs.",
    "signed_constant": "The layer's standard deviation with the signs of the initial weights.",
}
"""What kept weights start from (Zhou et al. 2019, arXiv:1905.01067; lr_rewind: Renda et al. 2020, arXiv:2003.02389)."""

Pruned = Literal[
    "zero", "freeze", "zero_if_toward_zero", "zero_if_away_from_zero", "normal_noise", "uniform_noise", "reinit", "soft"
]

Sparsification = Literal["none", "gradual", "set", "rigl", "soft", "noise"]


def _rates_or_default(value: Any) -> Any:
    return None if isinstance(value, str) and value == "default" else split_pairs(value)


class FindTicket(Recipe, Pruning, MaskChanges):
    """All that determines a search: recipe, pruning, mask changes, what is done with them. Flat, as users write it."""

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
    kept: Kept = Field(
        default="rewind",
        description="what kept weights start from: rewind (to that point); keep (as trained, at the last learning "
        "rate: fine-tuning); lr_rewind (as trained, the schedule goes back); reinit (a new draw), permute (the layer's "
        "initial values), shuffle (those of the kept weights), constant; each also as signed_... (initial signs)",
    )
    pruned: Pruned = Field(
        default="zero",
        description="what becomes of pruned weights: zero; freeze (at the initial value); zero_if_toward_zero, "
        "zero_if_away_from_zero (else frozen); normal_noise, uniform_noise; reinit, soft (redrawn or zero, and trained "
        "on)",
    )
    moments: Literal["zero", "keep", "restore"] = Field(
        default="zero",
        description="optimizer moments at a mask change: zero; keep (with kept weights); restore (within training: "
        "those of a weight that comes back)",
    )
    sparsifier: Sparsification = Field(
        default="none",
        description="prune within one training a level instead of after it: gradual (cubic), set, rigl, soft, noise; "
        "its masks are then tested as tickets. It uses --scope as it stands; the papers of set and rigl use erk",
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

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.moments == "keep" and self.kept not in ("keep", "lr_rewind") and self.sparsifier == "none":
            raise ValueError(
                f"moments: 'keep' goes with kept 'keep' or 'lr_rewind', whose weights have moments; found {self.kept!r}"
            )
        if self.moments == "restore" and self.sparsifier == "none":
            raise ValueError("moments: 'restore' is for weights that come back within a training: choose a sparsifier")
        if self.sparsifier != "none" and self.granularity != "unstructured":
            raise ValueError(
                f"sparsifier: {self.sparsifier!r} chooses single weights; found granularity {self.granularity!r}"
            )
        if self.sparsifier in ("set", "rigl") and self.criterion != "large_final":
            raise ValueError(
                f"criterion: sparsifier {self.sparsifier!r} drops weights by magnitude; found {self.criterion!r}, only "
                "'large_final' is allowed"
            )
        if self.sparsifier != "none" and self.pruned in ("reinit", "soft"):
            raise ValueError(
                f"pruned: {self.pruned!r} trains on what sparsifier {self.sparsifier!r} pruned, so its masks would not "
                "be tested: choose another"
            )
        if self.kept in ("keep", "reinit", "signed_reinit") and self.rewind_to not in ("0it", "0ep"):
            raise ValueError(
                f"rewind_to: kept {self.kept!r} goes back to no step; found {self.rewind_to!r}, leave it out"
            )
        if self.sparsifier != "none" and self.rates:
            raise ValueError("rates: a sparsifier shares out one density by its scope; leave them out, or see --scope")
        if self.schedule == "list" and len(self.level_rates) < self.levels:
            raise ValueError(
                f"level_rates: found {len(self.level_rates)} rates for {self.levels} levels; schedule 'list' needs one "
                "a level"
            )
        if self.level_rates and self.schedule != "list":
            raise ValueError(f"level_rates: only schedule 'list' reads them; found schedule {self.schedule!r}")
        if self.begin > self.end:
            raise ValueError(f"begin {self.begin:g} comes after end {self.end:g}: it must not")
        return self

    @property
    def recipe(self) -> Recipe:
        """How each network is trained."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})

    def make_sparsifier(self, density: float) -> Sparsifier:
        """What prunes within a training, to a density."""
        changes = {name: getattr(self, name) for name in MaskChanges.model_fields}
        own = {"criterion": self.criterion, "scope": self.scope, "moments": self.moments}
        return Sparsifier(method=self.sparsifier, density=density, **own, **changes)  # type: ignore[arg-type]

    def pruning(self, default_rates: dict[str, float]) -> Pruning:
        """How weights are chosen; `default_rates` serve where the user gave none."""
        fields = {name: getattr(self, name) for name in Pruning.model_fields}
        return Pruning(**fields | {"rates": default_rates if self.rates is None else self.rates})
