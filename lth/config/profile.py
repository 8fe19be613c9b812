"""What a cluster is asked for, by name: profiles in a YAML file, so that no script is ever edited."""

import re
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from lth.config.choices import check_choice
from lth.config.errors import SettingsError, as_settings_error
from lth.config.known import KnownFields
from lth.config.yaml_file import read_table

PLACES = (Path("lth-profiles.yaml"), Path("~/.config/lth/profiles.yaml"))
"""Where profiles are looked for, in this order."""


class Profile(KnownFields):
    """What a job of a cluster asks for, and what it sets up before it starts.

    Counts are for one element of a job array, which does one part of a study.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    launch: str | None = Field(default=None, description="the scheduler that it is for: slurm or lsf")
    partition: str | None = Field(default=None, description="partition (Slurm) or queue (LSF)")
    results_partition: str | None = Field(
        default=None, description="the same for the job that writes results and needs no GPU [default: partition]"
    )
    account: str | None = Field(default=None, description="account (Slurm) or project (LSF)")
    qos: str | None = Field(default=None, description="quality of service; a service class with LSF")
    time: str = Field(default="24:00:00", description="time limit, as HH:MM:SS, D-HH:MM:SS or 90m")
    nodes: int = Field(default=1, ge=1, description="nodes of an element: more than one for one large network")
    ranks: int = Field(default=1, ge=1, description="processes on each node that train one network together")
    gpus: int = Field(default=0, ge=0, description="GPUs on each node; none trains on CPUs")
    cpus: int = Field(default=4, ge=1, description="CPU cores of each process; without GPUs, so many workers")
    memory: str | None = Field(default=None, description="memory of a node, as 16G")
    constraint: str | None = Field(default=None, description="features that nodes must have; a select string with LSF")
    concurrent: int | None = Field(default=None, ge=1, description="most elements that run at once")
    most_parts: int = Field(default=1000, ge=1, description="most elements of an array; smaller parts share one")
    save_before: int = Field(default=300, ge=1, description="seconds before the time limit at which work is saved")
    modules: tuple[str, ...] = Field(default=(), description="environment modules to load")
    container: str | None = Field(default=None, description="what stands before the command: apptainer exec --nv a.sif")
    setup: tuple[str, ...] = Field(default=(), description="lines of shell before the command")
    env_file: Path | None = Field(default=None, description="file of NAME=VALUE lines, as .env")
    environment: dict[str, str] = Field(default_factory=dict, description="environment variables")
    options: tuple[str, ...] = Field(default=(), description="further options of sbatch or bsub, as they stand")
    command: str | None = Field(default=None, description="how lth is called there [default: this Python -m lth]")

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, given: Any) -> Any:
        """Take one module, line or option without brackets too."""
        if isinstance(given, dict):
            lists = {"modules", "setup", "options"}
            return {
                name: (value,) if name in lists and isinstance(value, str) else value for name, value in given.items()
            }
        return given

    @field_validator("time")
    @classmethod
    def _time(cls, value: str) -> str:
        seconds_of(value)
        return value

    @field_validator("environment")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                raise ValueError(f"{name!r} is no name of an environment variable")
        return value

    @field_validator(
        "partition", "results_partition", "account", "qos", "memory", "constraint", "container", "command", "time"
    )
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and ("\n" in value or not value.strip()):
            raise ValueError(f"{value!r} must be one line")
        return value

    @model_validator(mode="after")
    def _saves_in_time(self) -> Self:
        if self.save_before >= self.seconds:
            raise ValueError(
                f"save_before: work is saved {self.save_before} s before the time limit, which is {self.seconds} s: "
                "give more time, or a smaller save_before"
            )
        return self

    @property
    def seconds(self) -> int:
        """The time limit in seconds."""
        return seconds_of(self.time)


def seconds_of(text: str) -> int:
    """Return a time limit in seconds: HH:MM:SS, D-HH:MM:SS, MM:SS, 90m, 4h, 2d.

    Raises:
        ValueError: if it is none.
    """
    if match := re.fullmatch(r"(\d+)([smhd])", text):
        return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]
    if match := re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text):
        days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    raise ValueError(f"{text!r} is no time: write HH:MM:SS, D-HH:MM:SS, or a number with s, m, h or d")


def read_profile(name: str | None, launch: str) -> Profile:
    """Return a profile by name; without a name the default settings.

    Args:
        name: of a profile in `lth-profiles.yaml` here or in `~/.config/lth/profiles.yaml`, or FILE:NAME.
        launch: the scheduler that it is for.
    Raises:
        SettingsError: if there is none, its file cannot be read, or it is for another scheduler.
    """
    if name is None:
        return Profile(launch=launch)
    file, _, name = name.rpartition(":")
    places = [Path(file)] if file else list(PLACES)
    profiles: dict[str, tuple[Path, Any]] = {}
    for place in places:
        path = place.expanduser()
        if file or path.exists():
            table = read_table(path, "profiles by name, each a table of settings")
            profiles = {each: (path, value) for each, value in table.items()} | profiles
    if not profiles:
        raise SettingsError(f"profile {name!r}: neither {' nor '.join(map(str, places))} holds profiles")
    with as_settings_error():
        check_choice("profile", name, list(profiles))
    path, fields = profiles[name]
    if not isinstance(fields, dict):
        raise SettingsError(f"{path}: profile {name!r} must be a table, as `time: 4h`; it is {type(fields).__name__}")
    try:
        with as_settings_error():
            profile = Profile(**{str(key).replace("-", "_"): value for key, value in fields.items()})
    except SettingsError as error:
        raise SettingsError(f"{path}: profile {name!r}: {error}") from error
    if profile.launch not in (None, launch):
        raise SettingsError(f"{path}: profile {name!r} is for --launch {profile.launch}; found --launch {launch}")
    return profile.model_copy(update={"launch": launch})
