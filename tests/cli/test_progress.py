"""What is said while trainings run."""

from pathlib import Path

import pytest

from lth.cli.progress import Plain, Tally
from lth.config import FindTicket
from lth.data import load_data
from lth.lineage import Store, plan
from lth.models import MODELS
from lth.studies import find_ticket_study

NOTE = "the engine is compiled first"


@pytest.mark.parametrize("observer", [Tally, Plain])
def test_a_note_stands_until_a_training_moves(
    observer: type[Tally], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = FindTicket(levels=1, replicates=1, controls=())
    study = find_ticket_study(config, MODELS[config.model].make, load_data("digits"))
    tally = observer().attach(study)
    tally.planned(plan(study.targets, Store(tmp_path)))
    tally.noted(NOTE)
    key = study.runs[0].trained.key
    tally.progress(key, 0, 0.1)  # where it starts
    said = capsys.readouterr().err.splitlines()
    if observer is Plain:
        assert said[-1] == NOTE
    else:
        assert tally.note == NOTE
    tally.progress(key, 50, 0.5)
    assert tally.note == ""
