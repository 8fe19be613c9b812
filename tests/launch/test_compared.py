"""Several studies beside each other, as a terminal shows them."""

import io
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from lth.analysis.labels import Labels
from lth.launch.compared import comparison_lines
from lth.report import read_study


def test_a_comparison_is_a_sentence_and_a_table(small_study: Path) -> None:
    study = replace(read_study(small_study), labels=Labels("first"))
    other = replace(study, results=deepcopy(study.results), labels=Labels("other"))
    for row in other.results["rows"]:
        if row["arm"] == "ticket":
            row["key"] = f"other {row['key']}"
            row["end"]["test/accuracy"] = (row["end"]["test/accuracy"] or 0.0) - 0.1 - 0.01 * row["replicate"]
    sentence, head, *lines = comparison_lines([study, other], io.StringIO())
    assert "other" in sentence
    assert "first" in sentence
    assert head.split()[:3] == ["at", "first", "other"]
    assert "same networks" in lines[0]
    assert "-1" in lines[1]
    assert lines[-1].startswith("Differences are of the other study minus the first")
