"""The page: one study in full, or several compared, as one HTML file with its figures beside it as PNG."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode
from markupsafe import Markup

from lth.analysis.between import compare_studies
from lth.analysis.between_sentences import against_in_words, how_compared
from lth.analysis.documents import PlotDocument, Results
from lth.analysis.numbers import show
from lth.analysis.reading import arms_of, metric_named, metric_of, num_replicates
from lth.config.choices import check_choice
from lth.report import differences, followed, watched, words
from lth.report.bars import bar_figure
from lth.report.beside import files_beside, write_beside
from lth.report.boxes import box_figure
from lth.report.bundle import bundle
from lth.report.compare import comparison_figures
from lth.report.curves import curve_figure
from lth.report.distributions import distribution_figure
from lth.report.early import drawn_plots, undrawn_words
from lth.report.environment import environment
from lth.report.figure import Figure, as_chart, has_replicates, without_legends
from lth.report.grids import field_grid, gap_grid, tile_grid
from lth.report.lines import line_figure
from lth.report.marks import colour_domain, marks
from lth.report.names import check_comparable, differing_fields, study_names
from lth.report.pictures import write_pictures
from lth.report.published import is_of_paper, plots_of, published_context
from lth.report.side_by_side import questions, side_by_side
from lth.report.study import StudyFiles
from lth.report.tables import diverged, main_table, more_tables
from lth.report.theme import DARK, LIGHT, Palette, category_colors, vega_config
from lth.report.weights import layer_density_figure


def write_report(
    studies: Sequence[StudyFiles], folder: Path, names: Sequence[str] = (), *, replicates: bool = False
) -> Path:
    """Write report.html, a full page for one study or a comparison of several, and return its path.

    The page holds everything it needs and asks for nothing outside itself. Beside it lie the figures, as
    figures/NAME.svg, .pdf and .png; of one study also rows.csv and table.tex.

    Args:
        studies: at least one, as from `read_study`; several must have one primary metric.
        folder: created if missing; older files of these names are replaced.
        names: of several studies, as the page calls them [default: what sets them apart].
        replicates: whether pictures show each replicate, and the page at first; on the page it is a switch.
    Raises:
        ValueError: if there is no study, or if they measure different things.
    """
    if not studies:
        raise ValueError("found no study to report on; give at least one, as from read_study(folder)")
    check_comparable(studies)
    script = bundle()
    names = names or study_names(studies)
    drawn = figures(studies[0]) if len(studies) == 1 else comparison_figures(studies, names)
    write_pictures(drawn, folder, _colors(studies, LIGHT), replicates=replicates)
    path = Path(folder) / "report.html"
    if len(studies) == 1:
        write_beside(studies[0].results, Path(folder))
    page = render(studies, drawn, script.result(), names, replicates=replicates, files=files_beside(Path(folder)))
    path.write_text(page, encoding="utf-8")
    return path


def figures(study: StudyFiles, *, whole: bool = False) -> list[Figure]:
    """Return the figures of one study that its files allow, in the order of the page.

    Args:
        study: its files.
        whole: also those that a page leaves out, as they say nothing.
    """
    with debug_mode(False):  # altair checks every row of the data otherwise, for a second
        drawn = [
            watched.summary_figure(study),
            *(_drawn(study, plot) for plot in plots_of(study, whole=whole)),
            watched.watched_figure(study),
            followed.followed_figure(study),
        ]
        drawn += [box_figure(study), curve_figure(study), layer_density_figure(study), distribution_figure(study)]
    return [figure for figure in drawn if figure is not None]


def _drawn(study: StudyFiles, plot: PlotDocument) -> Figure | None:
    is_numeric = any(isinstance(mark.x, int | float) for mark in marks(study, plot))
    return line_figure(study, plot) if is_numeric and plot["mark"] != "bar" else bar_figure(study, plot)


def chart(study: StudyFiles, name: str | None = None) -> alt.TopLevelMixin:
    """Return one figure of a study as an altair chart with its theme, for a notebook; by default the first.

    Raises:
        ValueError: if there is no such figure; names those there are.
    """
    by_name = {figure.name: figure for figure in figures(study, whole=True)}
    name = next(iter(by_name), "") if name is None else name
    return as_chart(by_name[check_choice("figure", name, by_name)], LIGHT, _colors([study], LIGHT))


def render(
    studies: Sequence[StudyFiles],
    drawn: Sequence[Figure],
    script: str,
    names: Sequence[str] = (),
    *,
    replicates: bool = False,
    above: str = "",
    files: Sequence[str] = (),
    beside: str | None = "",
) -> str:
    """Return the page as text, with these figures in it and the script that draws them.

    Args:
        studies: at least one.
        drawn: the figures.
        script: of `bundle`.
        names: of several studies [default: what sets them apart].
        replicates: whether pictures show each replicate at first.
        above: HTML that stands before the page's own, as a way back to a list of studies.
        files: that can be taken away, besides the figures.
        beside: where they lie and the folder `figures`, as a prefix of their names; None where none can be taken away.
    """
    alone = len(studies) == 1
    context = _study_context(studies[0]) if alone else _comparison_context(studies, names or study_names(studies))
    if alone:
        context["of_paper"] = [figure for figure in drawn if is_of_paper(studies[0], figure)]
    context |= {"has_replicates": any(map(has_replicates, drawn)), "replicates": replicates, "above": Markup(above)}
    context |= {"files": files, "beside": beside}
    name = "study.html.jinja" if alone else "comparison.html.jinja"
    return filled(name, context, drawn, script, [_colors(studies, palette) for palette in (LIGHT, DARK)])


def filled(
    template: str, context: dict[str, Any], drawn: Sequence[Figure], script: str, colors: Sequence[tuple[str, ...]]
) -> str:
    """Return a template of this package as a page, with figures in it and the script that draws them.

    Args:
        template: its file.
        context: what it reads.
        drawn: the figures.
        script: of `bundle`.
        colors: of categories, in the light scheme and the dark one.
    """
    palettes = {"light": LIGHT, "dark": DARK}
    schemes = list(zip(palettes.items(), colors, strict=True))
    document = {
        "configs": {scheme: vega_config(palette, categories) for (scheme, palette), categories in schemes},
        "figures": {
            figure.name: {
                "panels": [without_legends(spec) for spec in figure.panels],
                "keys": [asdict(key) for key in figure.keys],
            }
            for figure in drawn
        },
    }
    page = environment().get_template(template)
    return page.render(
        **context,
        figures=drawn,
        drawn=document,
        schemes=[(asdict(palette), categories) for (_, palette), categories in schemes],
        bundle=script.replace("</script", "<\\/script"),
        words=words,
    )


def _colors(studies: Sequence[StudyFiles], palette: Palette) -> tuple[str, ...]:
    """Return the colours of arms on a study's page, of studies on a comparison."""
    if len(studies) > 1:
        return category_colors(palette, len(studies), has_baseline=False)
    results = studies[0].results
    has_baseline = bool(arms_of(results, "baseline"))
    return category_colors(palette, len(colour_domain(results)) - has_baseline, has_baseline=has_baseline)


def _study_context(study: StudyFiles) -> dict[str, Any]:
    results = study.results
    numbers = {name: index for index, name in enumerate(colour_domain(results))}
    taken = {measure.rpartition("/")[2] for row in results["rows"] for measure in row["end"]}
    metrics = [name for name in results["metrics"] if name in taken]
    compared = differences.difference_rows(study)
    drawn = plots_of(study)
    left_out = [plot for plot in results["plots"] if plot not in drawn]
    changed, rest = words.listed_settings(results)
    return {
        "title": results["verdict"]["title"],
        "published": None if study.reproduction is None else published_context(study.reproduction),
        "results": results,
        "details": study.details,
        "count": num_replicates(results),
        "undrawn": undrawn_words([results]) if left_out else "",
        "arms": [{**arm, "colour": numbers[arm["name"]]} for arm in arms_of(results)],
        "colours": numbers,
        "metrics": [metric_named(results, name) for name in metrics],
        "constants": {
            metric_named(results, name).name: show(value, metric_named(results, name))
            if (value := results["constant"].get(name)) is not None
            else ""
            for name in metrics
        },
        "part": metric_of(results, "primary").part,
        "table": main_table(results),
        "more_tables": more_tables(results),
        "diverged": diverged(results),
        "sections": [
            _section(
                f"Statistics of {len(compared)} differences",
                differences.difference_note(results, compared),
                differences.difference_columns(results),
                differences.difference_lines(study, compared),
            ),
            _section("Watched weights", watched.NOTE, watched.COLUMNS, watched.watched_lines(study)),
            _section("Followed spikes", followed.NOTE, followed.COLUMNS, followed.followed_lines(study)),
        ],
        "changed": changed,
        "config": rest,
        "labels": study.labels,
        "versions": words.plain_fields(results["environment"] | {"engine": words.engines(results)} | _energy(results)),
    }


def _energy(results: Results) -> dict[str, str]:
    return {"energy": words.energy(results["energy"])} if "energy" in results else {}


def _section(title: str, note: str, columns: Sequence[str], lines: list[list[str]]) -> dict[str, Any]:
    return {"title": title, "note": note, "columns": columns, "lines": lines}


def _comparison_context(studies: Sequence[StudyFiles], names: Sequence[str]) -> dict[str, Any]:
    subjects = list(dict.fromkeys(words.subject(study.results["config"]) for study in studies))
    compared = [
        {
            "name": name,
            "subject": words.subject(study.results["config"]),
            "results": study.results,
            "published": None if study.reproduction is None else published_context(study.reproduction),
        }
        for name, study in zip(names, studies, strict=True)
    ]
    several = [study.results for study in studies]
    first = several[0]
    against = compare_studies([(name, study.results) for name, study in zip(names, studies, strict=True)])
    fields = differing_fields(studies)
    return {
        "title": f"{len(studies)} studies" + (f" of {' and '.join(subjects)}" if len(subjects) < 3 else ""),
        "studies": compared,
        "undrawn": undrawn_words(several) if len(drawn_plots(several)) < len(first["plots"]) else "",
        "against": [(each, against_in_words(each, first), gap_grid(each, first)) for each in against],
        "how_compared": how_compared(against, first),
        "tiles": tile_grid(studies, names),
        "differing": field_grid(fields, names) if fields else None,
        "num_differing": len(fields),
        "side": side_by_side(studies, names),
        "questions": questions(studies, names),
    }
