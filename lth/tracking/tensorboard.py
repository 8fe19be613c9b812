"""TensorBoard: event files in a folder, one folder a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lth.tracking.packages import need
from lth.tracking.tracker import Row, Series, TrackedStudy, text_of

FOLDER = "lth-tensorboard"


class TensorBoard:
    """Writes FOLDER/EXPERIMENT/ID/TRAINING, and FOLDER/EXPERIMENT/ID for the study itself.

    Args:
        argument: the folder; by default FOLDER.
    Raises:
        ValueError: if the package `tensorboard` is missing.
    """

    def __init__(self, argument: str = "") -> None:
        need("tensorboard", "tensorboard")
        self._root = Path(argument or FOLDER)
        self._writers: dict[str, Any] = {}

    def begin(self, study: TrackedStudy) -> None:
        from torch.utils import tensorboard

        self._make: Any = tensorboard.FileWriter
        self._summary: Any = tensorboard.summary
        self._study = study
        self._folder = self._root / study.experiment / study.id

    def log(self, series: Series, rows: Sequence[Row]) -> None:
        if series.key not in self._writers:
            writer = self._make(str(self._folder / series.file_name))
            self._writers[series.key] = writer
            settings = {**self._study.settings, **series.parameters}
            writer.add_summary(self._text("settings", _table(settings)), 0)
        writer = self._writers[series.key]
        for step, values in rows:
            for name, value in values.items():
                writer.add_summary(self._summary.scalar(name, value), step)
        writer.flush()

    def close(self, series: Series) -> None:
        if (writer := self._writers.pop(series.key, None)) is not None:
            writer.close()

    def conclude(self, verdict: Sequence[str], files: Mapping[str, Sequence[Path]]) -> None:
        writer = self._make(str(self._folder))
        writer.add_summary(self._text("verdict", "\n\n".join(verdict)), 0)
        writer.add_summary(self._text("settings", _table(self._study.settings)), 0)
        named = [f"{kind}: `{path.resolve()}`" for kind in ("results", "tickets") for path in files.get(kind, ())]
        writer.add_summary(self._text("files", "\n\n".join(named)), 0)
        for path in files.get("figures", ()):
            writer.add_summary(_image(f"figures/{path.stem}", path.read_bytes()), 0)
        writer.close()

    def end(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _text(self, name: str, text: str) -> Any:
        return self._summary.text(name, text)


def _table(settings: Mapping[str, Any]) -> str:
    """Return settings as a table in Markdown, which TensorBoard draws."""
    rows = "\n".join(f"| {name} | {text_of(value).replace('|', '/')} |" for name, value in settings.items())
    return f"| setting | value |\n| --- | --- |\n{rows}"


def _image(name: str, png: bytes) -> Any:
    """Return a picture's summary; its size stands in the head of the file."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=name, image=image)])
