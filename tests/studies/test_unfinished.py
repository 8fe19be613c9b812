"""What an unfinished study of any kind shows, marked as unfinished."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builds import HERE
from pydantic import TypeAdapter
from test_every_study import COMMON, SMALL

from lth.analysis import read_documents
from lth.analysis.documents import Results
from lth.cli.main import main
from lth.data import load_data
from lth.launch.notes import register
from lth.launch.unfinished import count_trainings, finished_points, report_unfinished
from lth.lineage import Store, Trained, build
from lth.models import resolve_factory
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare


def made(study: str, **fields: Any) -> Study:
    given = {"model": "lenet-300-100", "data": "digits", **COMMON, **SMALL.get(study, {}), **fields}
    settings = settings_of(STUDIES[study], given)
    return prepare(STUDIES[study], settings, resolve_factory("lenet-300-100"), load_data("digits"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_reports_what_is_done_of_it(study: str, tmp_path: Path) -> None:
    whole, store = made(study), Store(tmp_path / "store")
    register(whole, store)
    kept = (tmp_path / "store" / "studies" / whole.id / "study.json").read_bytes()
    for share in (0.3, 0.7):
        build(whole.targets[: max(1, round(share * len(whole.targets)))], store, whole.sources, HERE)
        done, total = count_trainings(whole, store)
        found = report_unfinished(whole, store, tmp_path / f"{share}")
        results, _ = read_documents(found.folder)
        TypeAdapter(Results).validate_python(results)
        assert (results["id"], results["unfinished"]) == (whole.id, {"done": done, "of": total})
        verdict = results["verdict"]
        assert (verdict["found"], verdict["confirmed"]) == (False, None)
        assert verdict["summary"] == f"unfinished ({done} of {total} trainings)"
        assert verdict["title"].startswith(f"Unfinished, {done} of {total} trainings: ")
        assert verdict["sentences"][0].startswith("This study is unfinished: ")
        assert not [sentence for sentence in verdict["sentences"] if "diverged" in sentence]
        assert all(row["end"] for row in results["rows"])
        assert f"Unfinished, {done} of {total} trainings" in found.report.read_text()
        assert not found.tickets
    assert {path.name for path in (store.study_folder(whole.id)).iterdir()} == {"study.json", "derivation.json"}
    assert (store.study_folder(whole.id) / "study.json").read_bytes() == kept
