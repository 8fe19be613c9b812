"""A tracker that raises, hangs, lags or is not there: the study ends with the same bits, and one line says so."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tracked_runs
from tracked_runs import NAMES, Held, Memory, Tracked, curves_in, tracked_run

import lth
from lth.config import SettingsError
from lth.launch import load_studies, register
from lth.launch.tracked import Tracked as Tracking
from lth.launch.tracked import export_study
from lth.lineage import Store, Unobserved, build
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study
from lth.tracking import TRACKERS, Row, Series, TrackedStudy, sender, tracker_of


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """What the trackers of one test are told."""
    fresh = Held()
    monkeypatch.setattr(tracked_runs, "HELD", fresh)
    monkeypatch.setattr(sender, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setitem(TRACKERS, "memory", Memory)
    monkeypatch.setitem(TRACKERS, "raises", Raises)
    monkeypatch.setitem(TRACKERS, "hangs", Hangs)
    monkeypatch.setitem(TRACKERS, "lags", Lags)
    return fresh


class Raises(Memory):
    """It fails at the call that is named, once two rows are told."""

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        if self.argument == "log" and self.held.curves:
            raise ConnectionError("the line\nis down")
        super().log(series, rows)

    def begin(self, study: TrackedStudy) -> None:
        if self.argument == "begin":
            raise ConnectionError("nobody is there")
        super().begin(study)

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        if self.argument == "conclude":
            raise OSError("disk full")
        super().conclude(verdict, files)


class Hangs(Memory):
    """It never comes back from its second call."""

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        if self.held.curves:
            threading.Event().wait(60)
        super().log(series, rows)


class Lags(Memory):
    """It is slower than training."""

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        time.sleep(0.3)
        super().log(series, rows)


@pytest.fixture
def prepared() -> Study:
    return study_of()


def study_of(**settings: Any) -> Study:
    wanted = settings_of(STUDIES["find-ticket"], tracked_runs.SMALL | settings)
    [made] = load_studies(STUDIES["find-ticket"], [wanted])
    return made


def build_and_tell(prepared: Study, root: Path, found: lth.Found | None, *trackers: str) -> Tracking:
    """Do what `run_study` does; what was found is that of an equal study, whose report is drawn already."""
    store = Store(root)
    register(prepared, store)
    tracking = Tracking(prepared, store, trackers)
    observer = tracking.observer(None)
    assert observer is not None
    with observer(prepared) as attached:
        build(prepared.targets, store, prepared.sources, lth.Execution(workers=0, engine="torch"), attached)
    tracking.close(found)
    return tracking


def bits(store: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.rglob("weights.safetensors")}


@pytest.mark.parametrize(
    ("tracker", "reason"),
    [
        ("raises:begin", "nobody is there"),
        ("raises:log", "the line is down"),
        ("raises:conclude", "disk full"),
        ("hangs", "it does not answer for 2 s"),
    ],
)
def test_a_failure_is_one_line_and_is_made_good_later(
    tracker: str,
    reason: str,
    prepared: Study,
    tracked: Tracked,
    held: Held,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build_and_tell(prepared, tmp_path, tracked.found, tracker)
    assert bits(tmp_path) == bits(tracked.store)
    later = f"`lth export {prepared.id} --to {tracker} --store {tmp_path}` sends it later"
    assert capsys.readouterr().err == f"lth: tracker {tracker}: {reason}. Training goes on; {later}\n"
    for name in ("results.json", "place.json"):
        shutil.copy(tracked.store / "studies" / prepared.id / name, tmp_path / "studies" / prepared.id)
    monkeypatch.setitem(TRACKERS, tracker.partition(":")[0], Memory)  # it is well again
    exported = export_study(prepared.id, Store(tmp_path), tracker)
    assert (exported.told + exported.before, exported.missing) == (len(NAMES), 0)
    assert held.curves == tracked.curves
    assert sorted(held.closed) == sorted(NAMES)
    pictures = list((tracked.found.folder / "figures").glob("*.png"))
    files = {"results": 1, "figures": len(pictures), "tickets": 1}
    assert held.verdicts == [(list(tracked.found.verdict["sentences"]), files)]
    again = export_study(prepared.id, Store(tmp_path), tracker)
    assert (again.told, again.before, again.files) == (0, len(NAMES), 0)
    assert held.curves == tracked.curves


def test_where_too_much_waits_the_rest_comes_from_the_store(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sender, "MOST_WAITING", 2)
    made = study_of(evaluate_every=1)
    build_and_tell(made, tmp_path, None, "lags")
    assert min(held.batches) <= 3  # values as they come
    assert max(held.batches) > 10  # and what was left out, from the store
    exported = export_study(made.id, Store(tmp_path), "lags")
    assert exported.missing == 0
    for key, curves in zip([job.key for job in made.targets], held.curves.values(), strict=True):
        document = json.loads(Store(tmp_path).read_key(key, "metrics.json"))
        assert curves == curves_in(document)
        assert [step for step, _ in curves["validation/loss"]] == list(range(61))
    assert capsys.readouterr().err == ""


@dataclass
class Stops(Unobserved):
    """It ends a build in the middle of its first training."""

    def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None:
        if step >= 40:
            raise KeyboardInterrupt


def test_an_interrupted_study_goes_on_with_what_was_not_told(held: Held, prepared: Study, tmp_path: Path) -> None:
    store, execution = Store(tmp_path), lth.Execution(workers=0, engine="torch", snapshot_seconds=0.0)
    register(prepared, store)
    tracking = Tracking(prepared, store, ("memory",))
    observer = tracking.observer(lambda _: nullcontext(Stops()))
    assert observer is not None
    with pytest.raises(KeyboardInterrupt), observer(prepared) as attached:
        build(prepared.targets, store, prepared.sources, execution, attached)
    tracking.close(None, is_interrupted=True)
    assert [step for step, _ in held.curves[NAMES[0]]["validation/loss"]] == [0, 20, 40]
    exported = export_study(prepared.id, store, "memory")
    assert (exported.told, exported.missing, exported.is_concluded) == (1, 2, False)
    assert [step for step, _ in held.curves[NAMES[0]]["validation/loss"]] == [0, 20, 40]
    assert (held.closed, held.verdicts) == ([], [])
    build_and_tell(prepared, tmp_path, None, "memory")
    assert list(held.curves[NAMES[0]]) == list(held.curves[NAMES[1]])
    for job, name in zip(prepared.targets, NAMES, strict=True):
        assert held.curves[name] == curves_in(json.loads(store.read(job, "metrics.json")))
    assert sorted(held.closed) == sorted(NAMES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mlfow:http://x", "unknown tracker 'mlfow'. Did you mean 'mlflow'"),
        ("mlflow:sqlite:///x.db", "is no server: write mlflow:http://HOST:PORT.*no parallel writers"),
        ("mlflow", "no server is named"),
        ("wandb", "nobody is logged in: run `wandb login`"),
    ],
)
def test_what_cannot_be_used_is_said_before_all_else(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=said):
        tracked_run(tmp_path, name)
    assert not (tmp_path / "store").exists()


def test_a_server_out_of_reach_stops_nothing_and_a_wrong_key_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    wandb.teardown()  # it has read the environment before
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(SettingsError, match="tracker wandb: WANDB_API_KEY invalid.*: run `wandb login`") as failed:
        tracker_of("wandb")
    assert "short" not in str(failed.value)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()
    try:
        tracker_of("wandb")
    finally:
        wandb.teardown()


@pytest.mark.parametrize("name", ["wandb", "mlflow:http://127.0.0.1:1", "tensorboard", "trackio"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = name.partition(":")[0]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=rf'{package} is not installed: pip install "lth\[{package}\]"'):
        tracker_of(name)
