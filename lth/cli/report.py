"""`lth report`: the page again, from result files alone; of an unfinished study what it shows so far."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lth.cli.errors import UsageError
from lth.cli.options import Flag
from lth.cli.stored import load_stored, stored_study

if TYPE_CHECKING:
    from lth.analysis.documents import Results


def report(
    *ids: str,
    store: Path = Path("lth-store"),
    out: Path | None = None,
    replicates: Flag = False,
    folder: Path | None = None,
) -> int:
    """Build the report again from result files alone; several studies make one comparison.

        lth report 3f2a rate-0.4 --out comparison   # IDs or names, as `lth ls` shows

    Of several studies it says how each differs from the first one, at every place that both have.

    Of a study that is unfinished, or runs at this moment, it shows what is done so far, in a folder of its own that
    ends with -unfinished.

    Args:
        ids: names or IDs of studies in the store (a beginning of an ID is enough), or folders of reports, as of
            `lth superweights`.
        store: folder of results.
        out: folder of the report [default: lth-reports/report-ID...].
        replicates: show each replicate in the figures, not means and intervals alone; on the page it is a switch.
        folder: of an unfinished study, the folder of its data files, as its command had it.
    """
    from lth.report import read_study, write_report, write_super_weights

    if len(ids) == 1 and (Path(ids[0]) / "superweights.json").is_file():
        print(f"Report     {write_super_weights(Path(ids[0]), out)}")
        return 0
    if not ids:
        raise UsageError("name one or more studies: `lth ls` lists them")
    folders = [_folder(name, store, folder) for name in ids]
    studies = [read_study(each) for each in folders]
    for study in studies:
        if "unfinished" in study.results:
            print(*_unfinished_lines(study.results), sep="\n")
    place = out or Path("lth-reports") / ("report-" + "-".join(study.results["id"] for study in studies[:4]))
    if out is None and len(studies) == 1 and "unfinished" in studies[0].results:
        place = folders[0]
    path = write_report(studies, place, replicates=replicates)
    if len(studies) > 1:
        from lth.launch.compared import comparison_lines

        print(*comparison_lines(studies, sys.stdout), sep="\n")
    print(f"Report     {path}")
    return 0


def _unfinished_lines(results: "Results") -> list[str]:
    """Return what an unfinished study shows so far, for a terminal."""
    from lth.launch.words import for_terminal, table_lines

    sentences = [for_terminal(each, sys.stdout) for each in results["verdict"]["sentences"]]
    return [f"Study {results['id']}", *sentences, "", *table_lines(results, sys.stdout), ""]


def _folder(name: str, store: Path, data: Path | None) -> Path:
    """Return where the result files of a study lie; those of an unfinished one are written first."""
    if (Path(name) / "results.json").is_file():
        return Path(name)
    study = stored_study(name, store)
    if (study["folder"] / "results.json").exists():
        return study["folder"]
    from lth.launch.unfinished import write_unfinished
    from lth.lineage import Store

    return write_unfinished(load_stored(name, store, data), Store(store)).folder
