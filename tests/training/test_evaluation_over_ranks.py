"""What ranks measure together is what one process measures, where tallies append too."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

MEASURE = """
import json, sys
import torch
from torch import nn
from lth.data import Arrays
from lth.tasks import SequenceRegression
from lth.training import Member, Seeds
from lth.training.population import Population
from lth.training.ranks import join

ranks = join("cpu")
generator = torch.Generator().manual_seed(1)
x = torch.randn(500, 2, generator=generator)
y = (x.sum(1, keepdim=True) + torch.randn(500, 1, generator=generator)).round()  # with ties
model = nn.Linear(2, 1, bias=False)
member = Member("one", {"weight": torch.tensor([[1.0, 0.5]])}, {}, Seeds(init=1, order=1, augmentation=1))
population = Population(model, [member], torch.device("cpu"), "float32", SequenceRegression())
read = [population.evaluate(Arrays({"x": x[:size], "y": y[:size]}), ranks)[0] for size in (500, 150)]
with open(f"{sys.argv[1]}/{ranks.rank}.json", "w") as file:
    outputs = x @ torch.tensor([[1.0], [0.5]])
    json.dump({"read": read, "outputs": outputs.flatten().tolist(), "targets": y.flatten().tolist()}, file)
torch.distributed.destroy_process_group()
"""
"""Three batches of 200 for two ranks; then one, which leaves the second rank without."""


@pytest.mark.slow
def test_correlations_over_ranks(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEASURE, str(tmp_path)],
            env=os.environ | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["read"] == second["read"]
    for read, size in zip(first["read"], (500, 150), strict=True):
        outputs, targets = np.array(first["outputs"][:size]), np.array(first["targets"][:size])
        assert read["spearman"] == pytest.approx(spearmanr(outputs, targets).statistic, rel=1e-9)
        assert read["pearson"] == pytest.approx(pearsonr(outputs, targets).statistic, rel=1e-6)
        assert read["loss"] == pytest.approx(np.mean((outputs - targets) ** 2), rel=1e-6)
