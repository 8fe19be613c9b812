"""What a study's building takes in energy: measured by a tool, beside the results, and never in a training's way."""

import json
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from cli_runs import outcome, run

import lth
from lth.config import SettingsError
from lth.launch.energy import FILE, METERS, Energy, energy_document, measured, meter_of, read_energy
from lth.launch.load import load_studies
from lth.launch.run import build_study
from lth.lineage import Store
from lth.report.words import energy
from lth.studies import STUDIES, settings_of

SMALL: dict[str, Any] = {
    "levels": 1, "replicates": 1, "duration": "20it", "evaluate_every": 20, "controls": (), "progress": False,
}  # fmt: skip


class Clock:
    """A meter for these tests: so many watts, for as long as it runs."""

    def __init__(self, watts: float = 100.0) -> None:
        self.watts = watts

    def start(self) -> None:
        self.began = time.perf_counter()

    def stop(self) -> Energy:
        seconds = time.perf_counter() - self.began
        kwh = self.watts * seconds / 3.6e6
        return Energy(kwh, 0.5 * kwh, seconds, "clock 1", "constant power", "nowhere")


class Broken(Clock):
    """It starts, and then cannot say what it saw."""

    def stop(self) -> Energy:
        raise OSError("no counter\nis readable")


@pytest.fixture(autouse=True)
def _meters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METERS, "clock", Clock)
    monkeypatch.setitem(METERS, "broken", Broken)


def found(folder: Path, tool: str | None, **settings: Any) -> lth.Found:
    execution = lth.Execution(workers=0, energy=tool)
    return lth.find_ticket(store=folder / "store", out=folder / "out", execution=execution, **(SMALL | settings))


def test_beside_the_results_and_in_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = found(tmp_path, "clock:watts=200")
    stored = tmp_path / "store" / "studies" / left.id
    [held] = read_energy(stored)
    assert 0 < held.seconds < 60
    assert held.kwh == pytest.approx(200 * held.seconds / 3.6e6)
    assert held.jobs == 2  # the dense network and its ticket
    assert left.results["energy"] == energy_document([held], 2)
    assert not list((tmp_path / "store" / "objects").rglob(FILE))
    assert "clock" not in (stored / "study.json").read_text() + (tmp_path / "out" / "config.yaml").read_text()
    assert "clock 1: constant power; nowhere" in (tmp_path / "out" / "report.html").read_text()
    shown = run(capsys, "show", left.id, "--store", str(tmp_path / "store"))
    assert f"Energy    {energy(energy_document([held], 2))}" in shown

    settings = settings_of(STUDIES["find-ticket"], {name: SMALL[name] for name in SMALL if name != "progress"})
    [prepared] = load_studies(STUDIES["find-ticket"], [settings])
    assert prepared.id == left.id  # what is studied knows nothing of tools
    build_study(prepared, Store(tmp_path / "store"), lth.Execution(workers=0, energy="clock"), out=tmp_path / "out")
    assert read_energy(stored) == [held]  # nothing was left to train, and nothing is measured
    more = found(tmp_path, "clock", levels=2)
    assert (more.results["energy"]["jobs"], more.results["energy"]["of_jobs"]) == (1, 3)
    assert ", of 1 of 3 trainings (clock 1" in energy(more.results["energy"])


def test_sums_are_in_words() -> None:
    one = Energy(0.5, 0.25, 3600, "tool 1", "the machine", "FRA")
    document = energy_document([one, one], 9)
    assert energy(document) == "1 kWh, 0.5 kg CO2, 7,200 s in 2 buildings (tool 1: the machine; FRA)"


def test_a_failing_tool_is_one_line_and_no_training_stops(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="energy is not measured by broken: no counter is readable"):
        left = found(tmp_path, "broken")
    assert "energy" not in left.results
    assert left.results["rows"]


def test_an_error_inside_is_measured_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyError), measured("clock", tmp_path):
        raise KeyError("interrupted")
    assert len(read_energy(tmp_path)) == 1
    (tmp_path / FILE).write_text("{")
    assert read_energy(tmp_path) == []


def test_names_that_are_none_are_said_before_all_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match="unknown meter of energy 'codecarbn'. Did you mean 'codecarbon'"):
        found(tmp_path, "codecarbn")
    with pytest.raises(ValueError, match="--energy clock:volts=3: .*Write it as"):
        meter_of("clock:volts=3")
    assert not (tmp_path / "store" / "studies").exists()
    arguments = ["--store", str(tmp_path / "store"), "--energy", "wattmeter"]
    code, _, said = outcome(capsys, "find-ticket", *arguments, "--duration", "20it")
    assert (code, len(said.splitlines())) == (2, 1)


def test_without_codecarbon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    said = r'measured by codecarbon: it is not installed .*pip install "lth\[energy\]"'
    with pytest.warns(UserWarning, match=said), measured("codecarbon", tmp_path):
        pass
    assert read_energy(tmp_path) == []


def test_codecarbon_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("codecarbon", reason="codecarbon is not installed: pip install 'lth[energy]'")
    monkeypatch.chdir(tmp_path)

    def refuse(*_: object) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for tool in ("codecarbon", "codecarbon:country=FRA"):
        with measured(tool, tmp_path / "study"):
            sum(range(3_000_000))
    world, france = read_energy(tmp_path / "study")
    assert 0 < world.kwh < 1
    assert world.kg_co2 / world.kwh > france.kg_co2 / france.kwh > 0
    assert world.tool.startswith("codecarbon 3")
    assert "the whole machine, processor" in world.measured
    assert (world.place, france.place) == ("the world's mean mix", "FRA")
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert json.loads((tmp_path / "study" / FILE).read_text())["format"] == "lth.energy/1"
    with pytest.warns(UserWarning, match="it knows no country 'Mars'"), measured("codecarbon:country=Mars", tmp_path):
        pass
