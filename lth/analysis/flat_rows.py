"""The rows of a study as one flat table: a column for each number."""

from typing import Any

from lth.analysis.documents import Results


def flat_rows(results: Results) -> list[dict[str, Any]]:
    """Return a row for each measurement: arm, replicate, place, metrics at the end and at best, and its key."""
    return [
        {
            "arm": row["arm"],
            "replicate": row["replicate"],
            **row["at"],
            **row["end"],
            **{f"best {name}": value for name, value in row["at_best"].items()},
            "best_step": row["best_step"],
            "diverged_at": row["diverged_at"],
            "key": row["key"],
        }
        for row in results["rows"]
    ]
