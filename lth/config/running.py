"""Settings that say where and how a study runs. No result depends on them beyond rounding, and no key at all."""

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from lth.config.known import KnownFields
from lth.config.labels import Name, Tags
from lth.config.text import SeveralNames


class Running(KnownFields):
    """Where a study runs and where its results go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(default=None, description="folder of data files; missing ones are downloaded into it")
    allow_partial: bool = Field(
        default=False,
        description="use a data set that lacks some of its files, as CIFAR-10 with one batch of five; results say so",
    )
    store: Path = Field(default=Path("lth-store"), description="folder where results are kept and found again")
    out: Path | None = Field(
        default=None,
        description="folder of the report [default: lth-reports/MODEL-DATA-ID]; in a sweep, of all its reports",
    )
    name: Name | None = Field(
        default=None,
        description="what the study is called in the store, wherever an ID is taken; in a sweep NAME-1, NAME-2, and so "
        "on [default: its ID alone]",
    )
    tags: Tags = Field(
        default=(),
        alias="tag",
        description="a word that `lth ls --tag` finds the study by; several with commas, or the option several times "
        "[default: none]",
    )
    workers: int | None = Field(
        default=None, ge=0, description="one-thread worker processes [default: one per core]; 0 trains in this process"
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="cpu: workers; cuda: all networks of a level stacked on one GPU"
    )
    engine: str = Field(
        default="auto",
        description="what trains: auto (the sparse engine where it can train the network and measured "
        "faster, else torch; what one has begun it finishes), torch, sparse",
    )
    population: int | None = Field(
        default=None, ge=1, description="most networks stacked in one program on a GPU [default: 8]"
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="most examples of one pass, to save memory; gradients add up to those of the whole batch "
        "[default: the whole batch]",
    )
    shard: bool = Field(
        default=False,
        description="with several processes (torchrun, srun): each holds its part of the network alone, which then "
        "need not fit on one device (FSDP2)",
    )
    compiled: bool = Field(
        default=False, description="train through torch.compile, by the torch engine in this process"
    )
    sample: str | None = Field(
        default=None,
        min_length=1,
        description="text that a language model goes on from at each evaluation: in samples.txt beside the report, the "
        "newest below the progress [default: no samples]",
    )
    energy: str | None = Field(
        default=None,
        min_length=1,
        description="what measures the energy of the study's building: codecarbon, or codecarbon:country=FRA (the "
        "world's mean mix of electricity without a country) [default: nothing does]",
    )
    track: SeveralNames = Field(
        default=(),
        description="tell trackers what trainings measure while they run: wandb[:PROJECT], mlflow:URI, "
        "tensorboard[:DIR], trackio[:PROJECT]; several with commas, or the option several times [default: none]",
    )
    json_: bool = Field(default=False, alias="json", description="print the results document at the end, nothing else")
    quiet: bool = Field(default=False, description="show no progress")
