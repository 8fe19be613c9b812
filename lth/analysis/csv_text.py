"""Rows as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def as_csv(rows: Sequence[Mapping[str, Any]], first: Iterable[str] = ()) -> str:
    """Return rows as CSV with a heading; the columns `first` come first, what a row has not is empty."""
    columns = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
