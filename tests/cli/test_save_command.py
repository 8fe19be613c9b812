"""`lth save` and `lth sample`: networks of a study for other programs, and text from one that is in training."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from builds import HERE, Notes, interrupt
from cli_runs import outcome, run

from lth.launch import build_study, load_studies, register
from lth.launch.network import network_of
from lth.lineage import Execution, Store
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study
from lth.training import Interrupted


def prepared(folder: Path, **settings: str) -> Study:
    (folder / "short.txt").write_text("the wood has eyes and the field has ears " * 60)
    given = {"model": "gpt-char:n_embd=16,n_layer=1,n_head=2", "data": f"{folder / 'short.txt'}:block=16", **settings}
    given |= {"replicates": 1, "duration": "20it", "batch_size": 4, "evaluate_every": 10}
    return load_studies(STUDIES["train"], [settings_of(STUDIES["train"], given)])[0]


def test_a_network_in_training_and_at_its_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made, store, out = prepared(tmp_path), Store(tmp_path / "store"), tmp_path / "out"
    register(made, store)
    place = ("--store", str(store.root))
    code, _, error = outcome(capsys, "sample", made.id, "--prompt", "the", *place)
    assert code == 1
    assert "no network of arm 'dense' and replicate 0, finished or begun" in error
    stopping = Notes(at_step=12, act=interrupt)
    with pytest.raises(Interrupted):
        build_study(made, store, Execution(workers=0, snapshot_seconds=0.0), lambda study: nullcontext(stopping), out)
    code, text, error = outcome(capsys, "sample", made.id, "--prompt", "the", "--num-tokens", "9", *place)
    assert (code, len(text), text[:3]) == (0, 13, "the")
    assert error.startswith("lth: the training goes on; this is of its newest snapshot: step 1")
    build_study(made, store, HERE, out=out)
    saved = tmp_path / "saved"
    assert run(capsys, "save", made.id, "--to-transformers", str(saved), *place) == (
        f"Wrote      {saved} (step 20, dense, replicate 0)\n"
    )
    transformers = pytest.importorskip("transformers")
    theirs, ours = transformers.GPT2LMHeadModel.from_pretrained(saved).eval(), network_of(made, store).module.eval()
    ids = torch.randint(0, 9, (2, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours(ids), rtol=1e-4, atol=1e-5)


def test_what_is_no_gpt2_is_not_saved_as_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made, store = prepared(tmp_path, model="lenet-300-100", data="digits"), Store(tmp_path / "store")
    build_study(made, store, Execution(workers=0, engine="torch"), out=tmp_path / "out")
    register(made, store)
    code, _, error = outcome(
        capsys, "save", made.id, "--to-transformers", str(tmp_path / "saved"), "--store", str(store.root)
    )
    assert code == 1
    assert error == "lth: a LeNet300100 is no GPT-2: only gpt2, gpt-char and their like can be saved so"
    assert not (tmp_path / "saved").exists()
