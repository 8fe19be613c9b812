"""Runs all benchmarks, prints one table and writes bench-results/bench.json."""

import json
from dataclasses import asdict
from pathlib import Path

from bench.compact import compact_rows
from bench.selection import selection_rows
from bench.training import engine_against_usual_loop, mnist_shaped, workers_against_threads
from lth.lineage import environment


def main() -> None:
    """Prints each row as soon as it is measured."""
    print(f"{'what':58} {'ours':>9} {'theirs':>9} {'unit':8} {'ratio':>7}  (range over turns; above 1 we are better)")
    rows = []
    data = mnist_shaped()
    for measure in (
        lambda: [engine_against_usual_loop(data, density) for density in (1.0, 0.21, 0.036)],
        lambda: [workers_against_threads(data)],
        selection_rows,
        compact_rows,
    ):
        for row in measure():
            print(row.line(), flush=True)
            rows.append(row)
    path = Path("bench-results/bench.json")
    path.parent.mkdir(exist_ok=True)
    table = [asdict(row) | {"ratio": row.ratio} for row in rows]
    path.write_text(json.dumps({"environment": environment(), "rows": table}, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
