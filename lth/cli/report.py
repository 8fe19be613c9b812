"""`lth report`: the page again, from result files alone."""

import sys
from pathlib import Path

from lth.cli.errors import CommandError, UsageError
from lth.cli.options import Flag
from lth.cli.stored import find_study, unknown_id


def report(*ids: str, store: Path = Path("lth-store"), out: Path | None = None, replicates: Flag = False) -> int:
    """Build the report again from result files alone; several studies make one comparison.

        lth report 3f2a rate-0.4 --out comparison   # IDs or names, as `lth ls` shows

    Of several studies it says how each differs from the first one, at every place that both have.

    Args:
        ids: names or IDs of studies in the store (a beginning of an ID is enough), or folders of reports, as of
            `lth superweights`.
        store: folder of results.
        out: folder of the report [default: lth-reports/report-ID...].
        replicates: show each replicate in the figures, not means and intervals alone; on the page it is a switch.
    """
    from lth.report import read_study, write_report, write_super_weights

    if len(ids) == 1 and (Path(ids[0]) / "superweights.json").is_file():
        print(f"Report     {write_super_weights(Path(ids[0]), out)}")
        return 0
    if not ids:
        raise UsageError("name one or more studies: `lth ls` lists them")
    folders = [_folder(name, store) for name in ids]
    studies = [read_study(folder) for folder in folders]
    folder = out or Path("lth-reports") / ("report-" + "-".join(study.results["id"] for study in studies[:4]))
    path = write_report(studies, folder, replicates=replicates)
    if len(studies) > 1:
        from lth.launch.compared import comparison_lines

        print(*comparison_lines(studies, sys.stdout), sep="\n")
    print(f"Report     {path}")
    return 0


def _folder(name: str, store: Path) -> Path:
    """Return where the result files of a study lie."""
    if (Path(name) / "results.json").is_file():
        return Path(name)
    study = find_study(name, store)
    if study is None:
        raise unknown_id(name, store)
    folder = Path(study["folder"])
    if not (folder / "results.json").exists():
        raise CommandError(
            f"study {study['id']} has no results yet: run its {study['study']} command again to finish it"
        )
    return folder
