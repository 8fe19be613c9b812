"""A study that is built says so in the store: while it is, in one process of several, and no longer."""

import json
import subprocess
import sys
from pathlib import Path

from lth.data import load_data
from lth.launch.notes import BUILDING, being_built
from lth.lineage import Store
from lth.lineage.lease import holder
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import prepare


def test_it_says_so_while_it_is(tmp_path: Path) -> None:
    study = STUDIES["train"]
    made = prepare(study, settings_of(study, {"replicates": 1}), MODELS["lenet-300-100"].make, load_data("digits"))
    store = Store(tmp_path)
    folder = store.study_folder(made.id) / BUILDING
    # A process that was killed has left its lease.
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    with being_built(made, store):
        lease = json.loads((folder / "lease.json").read_text())
    folder.mkdir(parents=True)
    (folder / "lease.json").write_text(json.dumps(lease | {"pid": int(ended.stdout), "token": "gone"}))
    assert holder(folder) is None
    with being_built(made, store):
        assert "process" in str(holder(folder))
        with being_built(made, store):  # another one
            pass
        assert "process" in str(holder(folder))
    assert not folder.exists()
    assert not [*(tmp_path / "work").iterdir()]
