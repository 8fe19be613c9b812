"""The page: one study in full, or several compared, as one HTML file with its figures beside it as PNG."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert

from lth.report import words
from lth.report.by_level import ARM_WORDS, WHOLE_ARM_WORDS, arms_of, level_figures, trains_pruned
from lth.report.compare import comparison_figures, differing_fields, study_names
from lth.report.figure import Figure, draw_png, without_legends
from lth.report.study import Study
from lth.report.theme import DARK, LIGHT, vega_config
from lth.report.tiles import tiles
from lth.report.training import training_figure
from lth.report.weights import distribution_figure, layer_density_figure


def write_report(studies: Sequence[Study], folder: Path) -> Path:
    """The path of the written report.html: a full page for one study, a comparison for several.

    The page holds everything it needs and asks for nothing outside itself. Each figure is also written to
    figures/NAME.png in the same folder.

    Args:
        studies: at least one, as from `read_study`.
        folder: created if missing; older files of these names are replaced.
    Raises:
        ValueError: if there is no study.
    """
    if not studies:
        raise ValueError("found no study to report on; give at least one, as from read_study(folder)")
    alone = len(studies) == 1
    figures = study_figures(studies[0]) if alone else comparison_figures(studies)
    images = Path(folder) / "figures"
    images.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        (images / f"{figure.name}.png").write_bytes(draw_png(figure, LIGHT, LIGHT.arms if alone else LIGHT.studies))
    path = Path(folder) / "report.html"
    path.write_text(render(studies, figures), encoding="utf-8")
    return path


def render(studies: Sequence[Study], figures: Sequence[Figure]) -> str:
    """The page as text, with these figures in it."""
    alone = len(studies) == 1
    drawn = {
        "configs": {
            scheme: vega_config(palette, palette.arms if alone else palette.studies)
            for scheme, palette in (("light", LIGHT), ("dark", DARK))
        },
        "figures": {
            figure.name: {
                "panels": [without_legends(spec) for spec in figure.panels],
                "keys": [asdict(key) for key in figure.keys],
            }
            for figure in figures
        },
    }
    template = _environment().get_template("study.html.jinja" if alone else "comparison.html.jinja")
    return template.render(
        **(_study_context(studies[0]) if alone else _comparison_context(studies)),
        figures=figures,
        drawn=drawn,
        light=asdict(LIGHT),
        dark=asdict(DARK),
        bundle=_bundle(),
        words=words,
    )


def study_figures(study: Study) -> list[Figure]:
    """All figures of one study that its files allow, in the order of the page."""
    densities = None if trains_pruned(study.results) else layer_density_figure(study)
    optional = [training_figure(study), densities, distribution_figure(study)]
    return [*level_figures(study), *(figure for figure in optional if figure is not None)]


def _study_context(study: Study) -> dict[str, Any]:
    results = study.results
    return {
        "title": f"Winning tickets of {words.subject(results['config'])}",
        "results": results,
        "details": study.details,
        "arms": arms_of(results),
        "arm_words": WHOLE_ARM_WORDS if trains_pruned(results) else ARM_WORDS,
        "tiles": tiles(study),
        "config": words.plain_fields(results["config"]),
        "versions": words.plain_fields(results["environment"] | {"engine": words.engines(results)}),
    }


def _comparison_context(studies: Sequence[Study]) -> dict[str, Any]:
    subjects = list(dict.fromkeys(words.subject(study.results["config"]) for study in studies))
    compared = [
        {
            "name": name,
            "subject": words.subject(study.results["config"]),
            "results": study.results,
            "tiles": {tile["label"]: tile for tile in tiles(study)},
        }
        for name, study in zip(study_names(studies), studies, strict=True)
    ]
    return {
        "title": f"{len(studies)} studies of {' and '.join(subjects) if len(subjects) < 3 else 'winning tickets'}",
        "studies": compared,
        "labels": list(dict.fromkeys(tile["label"] for study in studies for tile in tiles(study))),
        "differences": differing_fields(studies),
    }


def _environment() -> jinja2.Environment:
    """Templates of this package; whatever comes from a result file is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _bundle() -> str:
    """The drawing library as one script, about 0.9 MB."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script")
