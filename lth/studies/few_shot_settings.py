"""How tickets are tried on few examples of another task."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lth.config import Recipe, StudySettings
from lth.config.text import Names, split_names

ENDING = ".ticket.safetensors"

DENSE, RANDOM = "dense", "random"
"""Arms that are no ticket: the weights that tickets grew from, and random masks (`random NAME`)."""


def _numbers(value: Any) -> Any:
    """Return `"8,32"` as ("8", "32"), one number as several are."""
    return (value,) if isinstance(value, int) else split_names(value)


class FewShot(StudySettings):
    """Which tickets, on which data, from how many examples, and what trains."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    sources: Names = Field(
        default=(), description="ticket files that grew from the same weights; without any, the dense network alone"
    )
    names: Names = Field(default=(), description="what to call them, as own,merged,other [default: names of the files]")
    digests: Names = Field(default=(), description="SHA-256 of each file [default: as they are found]")
    target: str = Field(default="", description="the task that they are tried on, as glue/qqp [default: by --data]")
    mode: Literal["full", "head"] = Field(
        default="full", description="what trains: full (all kept weights) or head (the new head alone)"
    )
    shots: Annotated[tuple[int, ...], BeforeValidator(_numbers)] = Field(
        default=(8, 32, 128), description="training examples, as 8,32,128: fewer are among more"
    )
    shots_of: Literal["all", "class"] = Field(
        default="all", description="whether --shots counts examples in all, or of each class"
    )
    shot_seeds: Annotated[tuple[int, ...], BeforeValidator(_numbers)] = Field(
        default=(), description="which examples each replicate draws, as 42,123,999 [default: by --seed]"
    )
    replicates: int = Field(default=3, ge=1, description="draws of a head and of examples; intervals are over them")
    validation: int | None = Field(
        default=128,
        ge=1,
        description="examples held out of the training set, for curves alone: scores are those of the end of training",
    )
    training: Recipe = Recipe(
        optimizer="adamw", lr=5e-5, lr_decay="linear", warmup="10%", batch_size=16, duration="200it"
    )

    @model_validator(mode="before")
    @classmethod
    def _target_is_data(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("target"):
            return given
        target = given["target"]
        if given.get("data", target) != target:
            raise ValueError(f"target {target!r} and data {given['data']!r} say one thing: leave one of the two out")
        return {name: value for name, value in given.items() if name != "target"} | {"data": target}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.shots or min(self.shots) < 1 or len(set(self.shots)) < len(self.shots):
            raise ValueError(f"shots: found {list(self.shots)}; give different numbers from 1, as 8,32,128")
        if self.shot_seeds and (len(self.shot_seeds) != self.replicates or min(self.shot_seeds) < 0):
            raise ValueError(
                f"shot_seeds: found {list(self.shot_seeds)} for {self.replicates} replicates: give each a seed from 0, "
                "or set --replicates"
            )
        for what, given in (("names", self.names), ("digests", self.digests)):
            if given and len(given) != len(self.sources):
                raise ValueError(f"{what}: found {len(given)} for {len(self.sources)} ticket files")
        called = self.called
        if twice := [name for name in called if called.count(name) > 1]:
            raise ValueError(f"names: {twice[0]!r} would name two tickets: give each a name (--names own,merged)")
        if taken := [name for name in called if name == DENSE or name.split()[0] == RANDOM]:
            raise ValueError(f"names: {taken[0]!r} is an arm of the study: call the ticket something else")
        return self

    @property
    def called(self) -> tuple[str, ...]:
        """The names of the tickets."""
        files = (source.replace("\\", "/").rpartition("/")[2] for source in self.sources)
        return self.names or tuple(file.removesuffix(ENDING) or file for file in files)
