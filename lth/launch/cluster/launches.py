"""What was given to a cluster: a folder of the store with the manifest, its scripts and logs, and the jobs' numbers."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from lth.config import Running, SettingsError, check_choice
from lth.config.json_text import parse_json
from lth.config.profile import Profile
from lth.launch.cluster.parts import Part
from lth.lineage import write_file

FORMAT = "lth.launch/1"
MANIFEST, JOBS, LOGS = "manifest.json", "jobs.json", "logs"


class Wanted(BaseModel):
    """A study of a launch: its kind, ID and whole settings."""

    model_config = ConfigDict(frozen=True)

    kind: str
    id: str
    settings: dict[str, Any]


class Launch(BaseModel):
    """The manifest: everything that an element of the array needs to know, in one file.

    Attributes:
        id: its name, and that of its folder.
        created: when, in UTC.
        place: the folder in which the command was given: names of files and modules are looked for there.
        studies: what is asked for.
        experiment: arguments of `lth reproduce` that end the launch, where it is of published experiments.
        names: of the studies, where they are presets or experiments.
        running: where results are and how jobs run.
        profile: what the cluster is asked for.
        parts: what each element does, from 1 on.
    """

    model_config = ConfigDict(frozen=True)

    format: str = FORMAT
    id: str
    created: str
    place: Path
    studies: tuple[Wanted, ...]
    experiment: dict[str, Any] | None = None
    names: tuple[str, ...] = ()
    running: Running
    profile: Profile
    parts: tuple[Part, ...]

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.running.store / "launches" / self.id

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST

    def log(self, part: int | str | None) -> Path:
        """Return the log of a part, by its number; of the job that writes results for None."""
        return self.folder / LOGS / ("end.log" if part is None else f"part-{part}.log")

    def note(self, part: int) -> Path:
        """Return the file in which a part notes that it starts."""
        return self.folder / "parts" / f"{part}.json"

    @property
    def jobs(self) -> dict[str, str]:
        """The scheduler's numbers: of the array (`parts`) and of the job that ends all (`end`); empty before.

        Raises:
            ValueError: if they are lost.
        """
        path = self.folder / JOBS
        try:
            return {str(role): str(number) for role, number in parse_json(path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is damaged: the jobs' numbers are lost. See that none of lth-{self.id} runs, and remove the "
                f"folder {self.folder}; what is done is kept"
            ) from error

    def write(self) -> None:
        """Write the manifest, into a new folder.

        Raises:
            ValueError: if another command has made it meanwhile.
        """
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise ValueError(f"another command has just made the launch {self.id}: see `lth status`") from error
        write_file(self.manifest, self.model_dump_json(indent=1, by_alias=True).encode())
        (self.folder / LOGS).mkdir()


def read_launch(path: Path) -> Launch:
    """Return what a manifest says.

    Raises:
        SettingsError: if it is none, or another lth's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    try:
        document = parse_json(content)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise SettingsError(f"{path} is no manifest of this lth ({FORMAT}): give the command again")
        launch = Launch(**document)
    except SettingsError:
        raise
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path} is damaged ({' '.join(str(error).split())}): give the command again") from error
    # A store that moved, or is mounted elsewhere on a node, takes its launches along.
    store = path.absolute().parent.parent.parent
    return launch.model_copy(update={"running": launch.running.model_copy(update={"store": store})})


def launches(store: Path) -> list[Launch]:
    """Return the launches of a store, oldest first; `damaged_launches` has those that cannot be read."""
    return sorted(_readable(store)[0].values(), key=lambda launch: (launch.created, launch.id))


def damaged_launches(store: Path) -> dict[str, str]:
    """Return what is wrong with the launches of a store whose manifests cannot be read, by their IDs."""
    return _readable(store)[1]


def _readable(store: Path) -> tuple[dict[str, Launch], dict[str, str]]:
    """Return the launches of a store, and what is wrong with the others."""
    found, damaged = dict[str, Launch](), dict[str, str]()
    for path in sorted(store.glob(f"launches/*/{MANIFEST}")):
        try:
            found[path.parent.name] = read_launch(path)
        except SettingsError as error:
            damaged[path.parent.name] = str(error)
    return found, damaged


def find_launch(name: str, store: Path) -> Launch:
    """Return the launch of a store with an ID, or the one whose ID begins so.

    Raises:
        ValueError: if there is none, there are several, or its manifest is damaged.
    """
    found, damaged = _readable(store)
    if not found and not damaged:
        raise ValueError(f"the store {store} holds no launches: name another with --store")
    fitting = [each for each in (*found, *damaged) if each.startswith(name)]
    if name in (*found, *damaged):
        fitting = [name]
    if len(fitting) > 1:
        raise ValueError(f"{name!r} is short for several launches: {', '.join(fitting)}")
    name = fitting[0] if fitting else check_choice("launch", name, [*found, *damaged])
    if name in damaged:
        raise ValueError(f"launch {name}: {damaged[name]}")
    return found[name]
