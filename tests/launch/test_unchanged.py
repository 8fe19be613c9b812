"""A report that would be written again as it is stays: whatever decides it, or touches it, has it written anew."""

from pathlib import Path

import pytest
from builds import study

from lth.analysis.documents import Results
from lth.launch import unchanged
from lth.launch.run import run_study
from lth.launch.unchanged import made_of, note_concluded, read_unchanged
from lth.lineage import Execution, Store
from lth.studies.prepare import Study

HERE = Execution(workers=0)


class Told:
    """Keeps what is told, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def concluded(self, results: Results) -> None:
        self.said.append(results["verdict"]["title"])

    def wrote(self, what: str, path: Path, note: str = "") -> None:
        assert path.exists()
        self.said.append(what)


@pytest.fixture(scope="module")
def prepared() -> Study:
    return study(levels=1, replicates=2, controls=(), duration="10it", rewind_to="5it")


def times(folder: Path) -> dict[Path, int]:
    """When each file of a report was written, but the one that each run writes."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.name != "config.yaml"}


def test_second_run_writes_nothing_and_says_the_same(prepared: Study, tmp_path: Path) -> None:
    store, out, first, second = Store(tmp_path / "store"), tmp_path / "out", Told(), Told()
    found = run_study(prepared, store, HERE, out=out, announcer=first)
    before = times(out)
    again = run_study(prepared, store, HERE, out=out, announcer=second)
    assert times(out) == before
    assert again.results == found.results
    assert again.tickets == found.tickets
    assert first.said == second.said == [found.verdict["title"], "Results", "Tickets", "Report"]

    for change in (
        (out / "report.html").unlink,
        lambda: (out / "figures" / "quality.png").write_bytes(b""),
        lambda: (out / "reproduction.json").write_text("{}"),
        found.tickets[0].unlink,
        lambda: (store.study_folder(prepared.id) / "place.json").write_text("{}"),
    ):
        assert read_unchanged(prepared, store, out) is not None
        change()
        assert read_unchanged(prepared, store, out) is None
        note_concluded(prepared, store, found)
    assert read_unchanged(prepared, store, tmp_path / "elsewhere") is None


def test_digest_follows_results_and_code(prepared: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    nothing = made_of(prepared, store)
    store.folder(prepared.targets[0].key).mkdir(parents=True)
    one = made_of(prepared, store)
    monkeypatch.setattr(unchanged, "_code", lambda: "of another version")
    assert len({nothing, one, made_of(prepared, store)}) == 3
