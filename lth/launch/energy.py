"""What the building of a study takes in energy, measured by a tool that the user chooses. Off by default.

No result and no key depends on it: the numbers lie beside the study's results in its folder of the store, one entry a
building. A tool that is missing or fails costs one line of warning, and no training.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lth.analysis.documents import EnergyDocument
from lth.config.choices import Table
from lth.config.json_text import parse_json
from lth.config.text import split_arguments
from lth.lineage import json_to_bytes, write_file

T = TypeVar("T")

FILE = "energy.json"
FORMAT = "lth.energy/1"


@dataclass(frozen=True, slots=True)
class Energy:
    """What was measured from start to stop.

    Attributes:
        kwh: energy.
        kg_co2: emissions, CO2 equivalents, by the mix of the place.
        seconds: how long it was measured.
        tool: name and version.
        measured: of what, and whether power was read or estimated, in words.
        place: whose mix of electricity was taken, in words.
        jobs: trainings and measurements that were finished meanwhile; None where that was not counted.
    """

    kwh: float
    kg_co2: float
    seconds: float
    tool: str
    measured: str
    place: str
    jobs: int | None = None


class Meter(Protocol):
    """Measures the machine that it runs on; whatever it raises is said in one line."""

    def start(self) -> None: ...
    def stop(self) -> Energy: ...


class CodeCarbon:
    """`codecarbon`, offline: it asks nobody, and writes nothing.

    Args:
        country: ISO code of three letters; without it the world's mean mix of electricity counts.
    """

    WAYS: Mapping[str, str] = {
        "intel_rapl": "processor read (RAPL)",
        "intel_power_gadget": "processor read (Power Gadget)",
        "cpu_load": "processor estimated from load and TDP",
        "constant": "processor estimated from TDP alone",
    }

    def __init__(self, country: str | None = None) -> None:
        self.country = country

    def start(self) -> None:
        try:
            from codecarbon import OfflineEmissionsTracker
            from codecarbon.input import DataSource
        except ImportError as error:
            raise RuntimeError(f'it is not installed ({error}): pip install "lth[energy]"') from error
        if self.country is not None and self.country not in DataSource().get_global_energy_mix_data():
            raise RuntimeError(f"it knows no country {self.country!r}: give its ISO code of three letters, as FRA")
        self._tracker: Any = OfflineEmissionsTracker(
            country_iso_code=self.country or "",  # what is in no list counts as the world
            tracking_mode="machine",
            measure_power_secs=15,
            output_methods=[],
            save_to_file=False,
            save_to_api=False,
            allow_multiple_runs=True,  # else it would take over the handlers of signals
            log_level="critical",
        )
        self._tracker.start()

    def stop(self) -> Energy:
        self._tracker.stop()
        data = self._tracker.final_emissions_data
        parts = {type(part).__name__: part for part in getattr(self._tracker, "_hardware", ())}
        mode = getattr(parts.get("CPU"), "_mode", "unknown")
        measured = ["the whole machine", self.WAYS.get(mode, f"processor by {mode}"), "memory estimated"]
        measured += ["GPU read"] if "GPU" in parts else []
        return Energy(
            float(data.energy_consumed),
            float(data.emissions),
            float(data.duration),
            f"codecarbon {data.codecarbon_version}",
            ", ".join(measured),
            self.country or "the world's mean mix",
        )


METERS: Table[Callable[..., Meter]] = Table("meter of energy", {"codecarbon": CodeCarbon})


def meter_of(text: str) -> Meter:
    """Return a meter by its name, with arguments as in `codecarbon:country=FRA`.

    Raises:
        SettingsError: if there is none of this name.
        ValueError: if it takes no such argument.
    """
    name, arguments = split_arguments(text)
    make = METERS.pick(name)
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(f"--energy {text}: {error}. Write it as codecarbon, or codecarbon:country=FRA") from error


@contextmanager
def measured(text: str | None, folder: Path, count_left: Callable[[], int] | None = None) -> Iterator[None]:
    """Measure what happens inside, and add it to energy.json in a folder; without a tool, or anything to do, nothing.

    Args:
        text: as `meter_of` takes it, or None.
        folder: of the study in the store.
        count_left: gives the number of jobs that are not finished yet.
    """
    left = None if text is None or count_left is None else count_left()
    if text is None or left == 0:
        yield
        return
    meter = meter_of(text)

    def start() -> bool:
        meter.start()
        return True

    is_running = _tried(text, start)
    try:
        yield
    finally:
        energy = _tried(text, meter.stop) if is_running else None
        if energy is not None:
            if count_left is not None and left is not None:
                energy = replace(energy, jobs=left - count_left())
            buildings = [*read_energy(folder), energy]
            document = {"format": FORMAT, "buildings": [asdict(each) for each in buildings]}
            _tried(text, lambda: write_file(folder / FILE, json_to_bytes(document)))


def read_energy(folder: Path) -> list[Energy]:
    """Return what was measured of a study, one entry a building; nothing if the file is missing or damaged."""
    try:
        return [Energy(**each) for each in parse_json((folder / FILE).read_text())["buildings"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def energy_document(energies: Sequence[Energy], num_jobs: int | None = None) -> EnergyDocument:
    """Return sums over buildings, and how they were measured, as JSON values.

    Args:
        energies: one a building.
        num_jobs: of the study; how many of them were measured is said where all buildings counted theirs.
    """
    document: EnergyDocument = {
        "kwh": sum(each.kwh for each in energies),
        "kg_co2": sum(each.kg_co2 for each in energies),
        "seconds": sum(each.seconds for each in energies),
        "buildings": len(energies),
        "measured": "; ".join(dict.fromkeys(f"{each.tool}: {each.measured}; {each.place}" for each in energies)),
    }
    counts = [each.jobs for each in energies if each.jobs is not None]
    if num_jobs and len(counts) == len(energies):
        document |= {"jobs": sum(counts), "of_jobs": num_jobs}
    return document


def _tried(text: str, action: Callable[[], T]) -> T | None:
    """Return what an action gives; None, and a warning of one line, if it fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the tool says of itself
            return action()
    except Exception as error:  # whatever a tool raises: no training stops for it
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        warnings.warn(f"energy is not measured by {text}: {reason}", stacklevel=2)
        return None
