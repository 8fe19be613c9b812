"""MLflow, told over HTTP: a real server with a database of its own, which then dies in the middle of a study."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tracked_runs import NAMES, SMALL, Curves, Tracked, curves_in

import lth
from lth.launch import load_studies, register
from lth.launch.tracked import Tracked as Tracking
from lth.launch.tracked import export_study
from lth.lineage import Store, Unobserved, build
from lth.studies import STUDIES, settings_of
from lth.tracking import Series, Teller, TrackedStudy, sender, tracker_of

pytestmark = pytest.mark.slow


@dataclass
class Server:
    """`mlflow server` on this machine; the same address and database after a restart."""

    folder: Path
    port: int
    process: Any = field(default=None)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
                   "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1",
                   "--artifacts-destination", str(self.folder / "artifacts")]  # fmt: skip
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5):
                return
            time.sleep(0.5)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("mlflow"), port)
    made.start()
    yield made
    made.kill()


def curves_of(server: Server, id: str) -> tuple[Curves, dict[str, Any]]:
    """Return the curves that the server holds of a study's trainings, and its runs by name."""
    from mlflow import MlflowClient

    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name("find-ticket-lenet-300-100-digits")
    found = client.search_runs([experiment.experiment_id], f"tags.`lth.study` = '{id}'")
    runs = {run.info.run_name: run for run in found}
    assert len(runs) == len(found)
    curves: Curves = {}
    for name in NAMES:
        for metric in runs[name].data.metrics:
            points = client.get_metric_history(runs[name].info.run_id, metric)
            curves.setdefault(name, {})[metric] = [(point.step, point.value) for point in points]
    return curves, runs


def test_a_server_holds_what_the_store_holds(server: Server, tracked: Tracked) -> None:
    from mlflow import MlflowClient

    done = export_study(tracked.found.id, Store(tracked.store), f"mlflow:{server.address}")
    assert (done.told, done.missing, done.files) == (
        3,
        0,
        1 + 1 + len(list(tracked.found.folder.glob("figures/*.png"))),
    )
    curves, runs = curves_of(server, tracked.found.id)
    assert curves == tracked.curves
    study = runs[f"find-ticket {tracked.found.id}"]
    for name in NAMES:
        assert runs[name].info.status == "FINISHED"
        assert runs[name].data.tags["mlflow.parentRunId"] == study.info.run_id
        assert runs[name].data.params["model"] == "lenet-300-100"
    assert (runs[NAMES[1]].data.params["level"], runs[NAMES[1]].data.params["arm"]) == ("1", "ticket")
    assert study.data.tags["verdict"].startswith(tracked.found.verdict["sentences"][0])
    client = MlflowClient(server.address)
    [ticket] = client.list_artifacts(study.info.run_id, "tickets")
    assert ticket.path == f"tickets/{tracked.found.tickets[0].name}"
    path = client.download_artifacts(study.info.run_id, "results.json", str(server.folder))
    assert json.loads(Path(path).read_text()) == tracked.found.results


def test_processes_that_begin_at_once_share_the_run_of_the_study(server: Server, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    name, series = f"mlflow:{server.address}", [Series(f"{number}" * 64, f"net {number}", {}) for number in range(3)]
    study, store = TrackedStudy("0123456789ab", "find-ticket", "at once", {"rate": 0.5}, tuple(series)), Store(tmp_path)

    def tell(each: Series) -> None:
        teller = Teller(name, tracker_of(name), study, store)
        teller.begin()
        teller.rows(each.key, [(0, {"validation/loss": 0.5})])

    with ThreadPoolExecutor(len(series)) as pool:
        list(pool.map(tell, series))
    client = MlflowClient(server.address)
    runs = client.search_runs([client.get_experiment_by_name("at once").experiment_id])
    [parent] = [run.info.run_id for run in runs if run.info.run_name == study.name]
    assert {run.data.tags.get("mlflow.parentRunId") for run in runs} == {None, parent}
    assert len(runs) == 1 + len(series)


def test_a_server_that_dies_half_way(
    server: Server,
    tracked: Tracked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sender, "INTERRUPTED_SECONDS", 5.0)
    monkeypatch.setenv(
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"
    )  # what is tried again when the server is back tells twice
    wanted = settings_of(STUDIES["find-ticket"], SMALL | {"margin": 0.02})  # another study of the same trainings
    [prepared] = load_studies(STUDIES["find-ticket"], [wanted])
    store, name = Store(tmp_path), f"mlflow:{server.address}"
    register(prepared, store)
    tracking = Tracking(prepared, store, (name,))

    class Kills(Unobserved):
        """It kills the server when the first training was told and the second one begins."""

        def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None:
            if key == prepared.targets[1].key and step == 20:
                deadline = time.monotonic() + 120
                told = store.study_folder(prepared.id) / "tracking"
                while not any('"closed": true' in path.read_text() for path in told.rglob("*.jsonl")):
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                server.kill()

    observer = tracking.observer(lambda _: nullcontext(Kills()))
    assert observer is not None
    with observer(prepared) as attached:
        build(prepared.targets, store, prepared.sources, lth.Execution(workers=0, engine="torch"), attached)
    tracking.close(None, is_interrupted=True)
    for path in tracked.store.rglob("weights.safetensors"):
        assert (tmp_path / path.relative_to(tracked.store)).read_bytes() == path.read_bytes()
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith(f"lth: tracker {name}: ")]) == 1
    for thread in threading.enumerate():  # in a process of its own nothing would be tried any more
        if thread.name.startswith("lth tracker"):
            thread.join(60)
            assert not thread.is_alive()
    server.start()
    done = export_study(prepared.id, store, name)
    assert (done.told + done.before, done.missing) == (3, 0)
    assert done.before >= 1
    curves, _ = curves_of(server, prepared.id)
    for job, training in zip(prepared.targets, NAMES, strict=True):
        assert curves[training] == curves_in(json.loads(store.read(job, "metrics.json")))
