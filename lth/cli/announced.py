"""What a study's command prints: the verdict as soon as it stands, then a line for each thing that is written."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lth.cli.stored import store_option

if TYPE_CHECKING:
    from lth.analysis.documents import Results
    from lth.launch import Found


class Announced:
    """Prints the verdict, what each arm reached, and where everything is.

    Args:
        store: the folder of results.
    """

    def __init__(self, store: Path) -> None:
        self._store = store

    def concluded(self, results: "Results") -> None:
        """Print the verdict and the table."""
        from lth.launch.words import for_terminal, table_lines

        for sentence in results["verdict"]["sentences"]:
            print(for_terminal(sentence, sys.stdout))
        print("", *table_lines(results, sys.stdout), "", sep="\n", flush=True)

    def wrote(self, what: str, path: Path, note: str = "") -> None:
        """Print where something is."""
        print(f"{what:10} {path} {note}".rstrip(), flush=True)

    def finished(self, outcome: "Found") -> None:
        """Print what is to be known of the whole."""
        from lth.launch.samples import SAMPLES

        if outcome.skipped:
            reason = next(iter(outcome.skipped.values()))
            print(f"{len(outcome.skipped)} jobs were left out: {reason}.")
        if (samples := outcome.folder / SAMPLES).exists():
            self.wrote("Samples", samples)
        if "energy" in outcome.results:
            from lth.report.words import energy

            print(f"Energy     {energy(outcome.results['energy'])}")
        print(f"Study      {outcome.id}   (lth show {outcome.id}{store_option(self._store)})")
