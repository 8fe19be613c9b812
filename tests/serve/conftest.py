"""A store with a real study and others made from it, and a real server over it."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sites import BEGUN_AT, NO_NOTE, NO_RESULTS, RATE, RUNNING, Site, copied, serving

import lth
from lth.serve import app
from lth.training.history import History
from lth.training.snapshot import Snapshot


@pytest.fixture(scope="session")
def made_store(small_found: lth.Found, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, str]:
    store, study = tmp_path_factory.mktemp("serve") / "store", small_found.id
    shutil.copytree(small_found.folder.parent / "store", store, copy_function=os.link)
    copied(store, study, RATE, lambda text: text.replace('"rate": 0.5', '"rate": 0.4'))
    working, begun = json.loads((store / "studies" / study / "study.json").read_text())["jobs"][-2:]
    unfinished = {working: f"{'1' * 60}{working[:4]}", begun: f"{'2' * 60}{begun[:4]}"}

    def without_two(text: str) -> str:
        for before, after in unfinished.items():
            text = text.replace(before, after)
        return text

    (copied(store, study, RUNNING, without_two) / "results.json").unlink()
    working, begun = unfinished.values()
    for key in (working, begun):
        (store / "work" / key).mkdir(parents=True)
    lease = {"host": socket.gethostname(), "pid": os.getpid(), "token": "t"}
    (store / "work" / working / "lease.json").write_text(json.dumps(lease))
    half = Snapshot(BEGUN_AT, History(), {"state/weight": torch.ones(2)}, "torch/cpu/1")
    (store / "work" / begun / "snapshot").write_bytes(half.to_bytes())
    (copied(store, study, NO_NOTE, str) / "study.json").write_text('{"id": ')
    (copied(store, study, NO_RESULTS, str) / "results.json").write_text("[1, ")
    (store.parent / "secret.txt").write_text("beyond the store")
    return store, study, working, begun


@pytest.fixture(scope="session")
def site(made_store: tuple[Path, str, str, str]) -> Iterator[Site]:
    store, study, working, begun = made_store
    with serving(app(store)) as port:
        yield Site(store, study, working, begun, port)
