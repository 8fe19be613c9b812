"""A study by mean squared error: masks that are chosen by gradients are chosen by those of that loss."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from builds import built, jobs, study, tiny

from lth.lineage import Execution, Pruned, Reader


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_taylor_masks_keep_the_largest_by_the_recipes_loss(loss: str, tmp_path: Path) -> None:
    fields = {"criterion": "taylor", "scope": "global", "rates": {}, "samples": 10_000, "precision": "float64"}
    made = study(levels=1, controls=(), loss=loss, **fields)
    by_torch = Execution(workers=0, engine="torch")  # the sparse engine would be compiled for float64 first
    reader = Reader(built(tmp_path, made, by_torch), made.sources)
    node = jobs(made, "ticket")[0].masks
    assert isinstance(node, Pruned)
    masks, module = reader.masks(node), tiny().double()
    module.load_state_dict(reader.weights(node.end))
    train = reader.parts(made.subject.data)["train"]
    batch = train.take(torch.arange(len(train)), torch.device("cpu"))
    logits, labels = module(batch["x"].double()), batch["y"]
    one_hot = F.one_hot(labels, 10).double()
    error = F.cross_entropy(logits, labels) if loss == "cross_entropy" else F.mse_loss(logits, one_hot)
    error.backward()
    weights = [module.get_parameter(name) for name in masks]
    scores = torch.cat([(weight * weight.grad).abs().flatten() for weight in weights]).detach()
    kept = torch.cat([mask.flatten() for mask in masks.values()])
    assert int(kept.sum()) == len(kept) // 2
    assert scores[kept].min() >= scores[~kept].max()
