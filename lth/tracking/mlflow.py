"""MLflow: a run for the study, and one below it for each training, over HTTP in batches."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lth.tracking.packages import need
from lth.tracking.tracker import Row, Series, TrackedStudy, text_of

MOST_METRICS = 1000
MOST_PARAMETERS = 100
MOST_LETTERS = 6000
MOST_NOTE_LETTERS = 5000

STUDY = "lth.study"
KEY = "lth.key"
"""Tags by which a run is found again."""


class MLflow:
    """Tells a server.

    Args:
        argument: its address, as http://127.0.0.1:5000; by default that of MLFLOW_TRACKING_URI.
    Raises:
        ValueError: if the package is missing, or what is named is no server.
    """

    def __init__(self, argument: str = "") -> None:
        need("mlflow", "mlflow")
        self._address = argument or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not re.match(r"https?://|databricks", self._address):
            found = f"{self._address!r} is no server" if self._address else "no server is named"
            raise ValueError(
                f"{found}: write mlflow:http://HOST:PORT or set MLFLOW_TRACKING_URI. Files and sqlite bear no parallel "
                "writers; `mlflow server --backend-store-uri sqlite:///mlflow.db` serves one"
            )

    def begin(self, study: TrackedStudy) -> None:
        from mlflow import MlflowClient

        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._study, self._client = study, MlflowClient(self._address)
        self._experiment = self._experiment_of(study.experiment)
        self._runs: dict[str, str] = {}
        self._there: dict[str, set[tuple[str, int]]] = {}
        self._parent = str(self._run("", study.name, study.settings, {}).info.run_id)

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        run = self._run_of(series)
        points = ((_name(name), value, step) for step, values in rows for name, value in values.items())
        there = self._there[series.key]
        metrics = (Metric(name, value, now, step) for name, value, step in points if (name, step) not in there)
        while batch := list(islice(metrics, MOST_METRICS)):
            self._client.log_batch(run, metrics=batch)

    def close(self, series: Series) -> None:
        self._client.set_terminated(self._run_of(series), "FINISHED")

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        text = "\n\n".join(verdict)[:MOST_NOTE_LETTERS]
        for tag in ("verdict", "mlflow.note.content"):
            self._client.set_tag(self._parent, tag, text)
        for kind, paths in files.items():
            for path in paths:
                self._client.log_artifact(self._parent, str(path), None if kind == "results" else kind)
        self._client.set_terminated(self._parent, "FINISHED")

    def end(self) -> None: ...

    def _run_of(self, series: Series) -> str:
        if series.key not in self._runs:
            parameters = {**self._study.settings, **series.parameters}
            tags = {"mlflow.parentRunId": self._parent}
            run = self._run(series.key, series.name, parameters, tags)
            self._runs[series.key], self._there[series.key] = str(run.info.run_id), self._points(run)
        return self._runs[series.key]

    def _run(self, key: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Any:
        """Return the run of a training, or of the study itself; it is made where there is none yet."""
        wanted = f"tags.`{STUDY}` = '{self._study.id}' and tags.`{KEY}` = '{key or self._study.id}'"
        if found := self._client.search_runs([self._experiment], wanted, max_results=1):
            return found[0]
        tags = {STUDY: self._study.id, KEY: key or self._study.id, "lth.kind": self._study.kind, **tags}
        run = self._client.create_run(self._experiment, tags=dict(tags), run_name=name)
        self._log_parameters(run.info.run_id, parameters)
        return run

    def _points(self, run: Any) -> set[tuple[str, int]]:
        """Return name and step of what a run has: a server that died may have taken values without an answer."""
        id = run.info.run_id
        return {(name, point.step) for name in run.data.metrics for point in self._client.get_metric_history(id, name)}

    def _log_parameters(self, run: str, parameters: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        all_of_them = (Param(_name(name), text_of(value)[:MOST_LETTERS]) for name, value in parameters.items())
        while batch := list(islice(all_of_them, MOST_PARAMETERS)):
            self._client.log_batch(run, params=batch)

    def _experiment_of(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if (found := self._client.get_experiment_by_name(name)) is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process has made it meanwhile
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)


def _name(name: str) -> str:
    """Return a name as MLflow allows it."""
    return re.sub(r"[^\w./ -]", "_", name)[:250]
