"""Weights & Biases: a run for each training and one for the study, in one group; offline with WANDB_MODE=offline."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.tracking.packages import need
from lth.tracking.tracker import Row, Series, TrackedStudy, for_files


class WeightsAndBiases:
    """Tells W&B, or with WANDB_MODE=offline its files, which `wandb sync` sends.

    Args:
        argument: PROJECT or ENTITY/PROJECT; by default the experiment's name.
    Raises:
        ValueError: if the package is missing, or nobody is logged in.
    """

    def __init__(self, argument: str = "") -> None:
        need("wandb", "wandb")
        self._entity, _, self._project = argument.rpartition("/")
        self._runs: dict[str, Any] = {}
        if os.environ.get("WANDB_MODE", "online") in ("online", "run"):
            _check_key()

    def begin(self, study: TrackedStudy) -> None:
        import wandb

        self._wandb, self._study = wandb, study

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        run = self._run_of(series)
        for step, values in rows:
            run.log(dict(values), step=step)

    def close(self, series: Series) -> None:
        if (run := self._runs.pop(series.key, None)) is not None:
            run.finish()

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        run = self._start(self._study.id, self._study.name, "study", self._study.settings)
        run.summary["verdict"] = "\n\n".join(verdict)
        for kind, paths in files.items():
            if paths:
                artifact = self._wandb.Artifact(f"{kind}-{self._study.id}", type=kind)
                for path in paths:
                    artifact.add_file(str(path))
                run.log_artifact(artifact)
        run.finish()

    def end(self) -> None:
        for run in self._runs.values():
            run.finish()
        self._runs.clear()

    def _run_of(self, series: Series) -> Any:
        if series.key not in self._runs:
            parameters = {**self._study.settings, **series.parameters}
            arm = str(series.parameters["arm"])
            self._runs[series.key] = self._start(f"{self._study.id}-{series.key[:12]}", series.name, arm, parameters)
        return self._runs[series.key]

    def _start(self, id: str, name: str, kind: str, parameters: Mapping[str, Any]) -> Any:
        settings = self._wandb.Settings(
            console="off", silent=True, disable_code=True, disable_git=True, x_disable_meta=True, x_disable_stats=True
        )
        return self._wandb.init(
            entity=self._entity or None,
            project=(self._project or for_files(self._study.experiment))[:128],
            id=id,
            name=name,
            group=self._study.id,
            job_type=kind,
            config=dict(parameters),
            resume="allow",
            reinit="create_new",
            settings=settings,
        )


def _check_key() -> None:
    """Check that there is a key, without asking the server: it may be out of reach, which stops no training."""
    import wandb

    help_ = "run `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline"
    try:
        is_there = wandb.login(prompt=False, verify=False)
    except wandb.Error as error:
        raise ValueError(f"{' '.join(str(error).split())}: {help_}") from error
    if not is_there:
        raise ValueError(f"nobody is logged in: {help_}")
