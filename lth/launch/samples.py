"""Samples of a language model's text while it trains: whether there can be any, and the file that keeps them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lth.config import SettingsError
from lth.launch.network import point_words
from lth.lineage import Execution, Observer, Plan
from lth.lineage.text import prompt_ids
from lth.studies.prepare import Study

SAMPLES = "samples.txt"
"""The file beside a report."""


def check_sample(prepared: Study, execution: Execution) -> None:
    """Check that the networks of a study can write text, where samples are asked for.

    Raises:
        SettingsError: if they cannot.
    """
    if execution.sample is None:
        return
    try:
        prompt_ids(prepared.sources.data[prepared.subject.data.digest], execution.sample)
    except ValueError as error:
        raise SettingsError(f"sample: {error}") from error
    if prepared.subject.training.function is not None:
        raise SettingsError("sample: your own training function writes its own; leave --sample out")


class SamplesWritten:
    """An observer that adds samples to a file, each under its step and whose it is, and tells another one of all.

    What a run before this one wrote stays: a step that is done again after an interruption gives the same text.

    Args:
        observer: the other one.
        prepared: the study.
        prompt: what the samples go on from.
        folder: of the file.
    Raises:
        OSError: if it cannot be written.
    """

    def __init__(self, observer: Observer, prepared: Study, prompt: str, folder: Path) -> None:
        self._observer = observer
        self._words = {point.job.key: point_words(point) for point in reversed(prepared.points)}
        self._path = folder / SAMPLES
        self._head = f"study {prepared.id}, prompt {prompt!r}\n"
        before = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        if not before.startswith(self._head):  # of another study in the same folder, or another prompt
            self._path.unlink(missing_ok=True)
            before = ""
        self._seen = set(re.findall(r"^--- (.*) ---$", before, re.MULTILINE))

    def sampled(self, key: str, step: int, text: str) -> None:
        title = f"step {step}, {self._words.get(key, 'a training on the way')}, {key[:12]}"
        if title not in self._seen:
            self._seen.add(title)
            head = "" if self._path.exists() else self._head
            with self._path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{head}\n--- {title} ---\n{text}\n")
        self._observer.sampled(key, step, text)

    def planned(self, plan: Plan) -> None:
        self._observer.planned(plan)

    def started(self, key: str) -> None:
        self._observer.started(key)

    def progress(self, key: str, step: int, values: Mapping[str, float]) -> None:
        self._observer.progress(key, step, values)

    def evaluated(self, key: str, step: int, values: Mapping[str, float]) -> None:
        self._observer.evaluated(key, step, values)

    def finished(self, key: str) -> None:
        self._observer.finished(key)

    def skipped(self, key: str, reason: str) -> None:
        self._observer.skipped(key, reason)

    def waiting(self, keys: Sequence[str]) -> None:
        self._observer.waiting(keys)

    def noted(self, text: str) -> None:
        self._observer.noted(text)
