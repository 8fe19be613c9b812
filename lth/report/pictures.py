"""The pictures of figures, as files: SVG and PDF for papers, PNG for everything else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lth.report.figure import Figure, draw_svg, svg_to_pdf, svg_to_png
from lth.report.theme import LIGHT

FOLDER = "figures"
KINDS = ("svg", "pdf", "png")
WRITERS = 2
"""Threads that turn drawings into the other kinds while the next figure is drawn."""


def write_pictures(drawn: Sequence[Figure], folder: Path, colors: tuple[str, ...], *, replicates: bool = False) -> None:
    """Write each figure as figures/NAME.svg, .pdf and .png in a folder, which is created if missing."""
    images = Path(folder) / FOLDER
    images.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WRITERS) as writers:
        # One drawing at a time, as all of them share one engine; the other kinds need none.
        written = [
            writers.submit(_write, images / figure.name, draw_svg(figure, LIGHT, colors, replicates=replicates))
            for figure in drawn
        ]
        for each in written:
            each.result()


def _write(path: Path, svg: str) -> None:
    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    path.with_suffix(".pdf").write_bytes(svg_to_pdf(svg))
    path.with_suffix(".png").write_bytes(svg_to_png(svg))
