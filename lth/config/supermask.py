"""The settings of supermasks: masks that are learned while the weights stay as they were drawn."""

from collections.abc import Callable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lth.config.duration import Duration
from lth.config.recipe import Recipe


class SupermaskSettings(BaseModel):
    """How masks are learned over weights that are never trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["bernoulli", "edge_popup"] = Field(
        default="bernoulli",
        description="bernoulli: each mask entry is drawn with a learned probability; edge_popup: the largest scores of "
        "each layer are kept",
    )
    density: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="fraction kept of each layer: with edge_popup always, with bernoulli on average at the start",
    )
    rescale: bool = Field(
        default=False,
        description="make up for masked weights: bernoulli multiplies those of a layer by number of weights / number "
        "kept, edge_popup by density to the power -1/2",
    )
    weights: Literal["initial", "signed_constant"] = Field(
        default="initial",
        description="the frozen weights: initial (as drawn), signed_constant (their signs times their layer's standard "
        "deviation)",
    )
    initial_score: float | None = Field(
        default=None, description="score that bernoulli starts from [default: the logit of density, 0 at 0.5]"
    )

    @model_validator(mode="after")
    def _initial_score_has_an_effect(self) -> Self:
        if self.method == "edge_popup" and self.initial_score is not None:
            raise ValueError("initial_score: edge_popup draws its first scores at random; leave the setting out")
        return self


class LearnSupermask(Recipe, SupermaskSettings):
    """All that determines a study of supermasks: a recipe for the scores, and how masks follow from them. Flat."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(default="lenet-300-100", description="a model of lth's, or your own as package.module:function")
    data: str = Field(default="digits", description="digits, mnist, fashion-mnist, or the path of an .npz file")
    replicates: int = Field(default=3, ge=1, description="networks with seeds of their own; intervals are over them")
    seed: int = Field(default=0, ge=0, description="the seed that all others are derived from")
    duration: Duration = Field(default="2000it", description="length of each training, in steps (it) or epochs (ep)")
    lr: float = Field(
        default=0.1,
        gt=0,
        description="learning rate per step of the scores, at its peak; those of edge_popup are small and want 0.003",
    )
    draws: int = Field(default=10, ge=1, description="masks drawn to measure the mean accuracy of sampled masks")
    validation: int | None = Field(
        default=None,
        ge=1,
        description="examples held out of the training set [default: 5000, or a tenth if that is less]",
    )
    split_seed: int = Field(default=0, ge=0, description="which examples are held out; the same for all replicates")
    model_version: str = Field(default="1", description="raise it when your own model's code changes its results")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="level of the intervals over replicates")

    @property
    def recipe(self) -> Recipe:
        """How the scores are trained."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})

    @property
    def supermask(self) -> SupermaskSettings:
        """How masks follow from the scores."""
        return SupermaskSettings(**{name: getattr(self, name) for name in SupermaskSettings.model_fields})


def learned_supermask_on_digits() -> LearnSupermask:
    """Masks over LeNet-300-100 on scikit-learn's digits: the whole method in a minute."""
    return LearnSupermask()


def zhou_2019_supermask(data: str = "mnist") -> LearnSupermask:
    """Masks over LeNet-300-100 on MNIST, after Zhou et al. 2019, arXiv:1905.01067, Section 5.

    Their best variant: signed constants with dynamic rescaling. The paper's programs train the scores by SGD with
    momentum; Adam is quicker and hardly minds its learning rate.
    """
    return LearnSupermask(
        data=data, rescale=True, weights="signed_constant", duration="5000it", evaluate_every=500, validation=5000
    )


SUPERMASK_PRESETS: dict[tuple[str, str], Callable[[], LearnSupermask]] = {
    ("lenet-300-100", "digits"): learned_supermask_on_digits,
    ("lenet-300-100", "mnist"): zhou_2019_supermask,
}


def supermask_preset(model: str, data: str) -> LearnSupermask:
    """The preset of a model and data set; the general defaults where there is none."""
    make = SUPERMASK_PRESETS.get((model, data))
    return make() if make else LearnSupermask(model=model, data=data)
