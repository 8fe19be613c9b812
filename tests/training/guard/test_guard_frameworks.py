"""Loops that others write: Lightning, the Trainer of transformers, Accelerate."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from guard_loops import batch, check_frozen, net, some_masks
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lth.training.guard import Guard, guard, levels, masks, sparsity_of

pytestmark = pytest.mark.filterwarnings("default")  # theirs


def batches(count: int) -> DataLoader[Any]:
    """Batches of 32."""
    pairs = [batch(step) for step in range(count)]
    inputs, labels = (torch.cat(each) for each in zip(*pairs, strict=True))
    return DataLoader(TensorDataset(inputs, labels), batch_size=32)


def lightning_module(settings: dict[str, Any]) -> Any:
    """A LightningModule that guards itself, and looks at its weights after every batch."""
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[misc,name-defined]
        guard: Guard

        def __init__(self) -> None:
            super().__init__()
            self.net = net()
            self.looks = 0
            self.bits: set[bytes] = set()

        def training_step(self, pair: tuple[Tensor, Tensor], index: int) -> Tensor:
            return F.cross_entropy(self.net(pair[0]), pair[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)
            if settings:
                self.guard = guard(self.net, optimizer, **settings)
            return optimizer

        def on_train_batch_end(self, *_: Any) -> None:
            if settings:
                check_frozen(self.net, self.guard.masks)
                self.bits.add(self.guard.masks["0.weight"].numpy().tobytes())
            self.looks += 1

    return Module()


def lightning_trainer(folder: Path) -> Any:
    """A quiet one."""
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")
    return lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=1.0, default_root_dir=folder,
    )  # fmt: skip


@pytest.mark.parametrize("method", [None, "gradual", "rigl"])
def test_lightning(method: str | None, tmp_path: Path) -> None:
    """It hands its optimizers a closure: gradients come to be within the step."""
    settings: dict[str, Any] = {"masks": some_masks(net())}
    if method:
        settings = {"method": method, "density": 0.3, "steps": 16, "applications": 4}
    module = lightning_module(settings)
    lightning_trainer(tmp_path).fit(module, batches(8))
    assert module.looks == 16
    if method:
        assert module.guard.step == 16
        assert len(module.bits) == 5  # dense and four changes, or a draw and four exchanges
        assert sum(int(mask.sum()) for mask in module.guard.masks.values()) == 72
        assert sum(int(value.sum()) for value in masks(module.net).values()) > 60


def test_levels_around_lightning(tmp_path: Path) -> None:
    module = lightning_module({})
    for level in levels(module.net, levels=2, rate=0.5, rewind_to=4):
        lightning_trainer(tmp_path).fit(module, batches(4))
        check_frozen(module.net, level.masks)
    assert sparsity_of(module.net, level.masks).density == 0.25


class Rows(torch.utils.data.Dataset[Any]):
    """Token ids, which are their own labels."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = torch.randint(0, 40, (12,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": ids, "labels": ids}


def gpt2(folder: Path) -> Any:
    """A Trainer of a tiny GPT-2: six steps."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=40, n_positions=12, n_embd=16, n_layer=1, n_head=2)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, num_train_epochs=1, learning_rate=1e-2, weight_decay=0.1,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    return transformers.Trainer(model=transformers.GPT2LMHeadModel(config), args=arguments, train_dataset=Rows())


@pytest.mark.parametrize("method", [None, "gradual", "rigl"])
def test_the_trainer_of_transformers(method: str | None, tmp_path: Path) -> None:
    trainer = gpt2(tmp_path)
    model = trainer.model
    trainer.create_optimizer()
    given = {
        name: torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)) < 0.5
        for name, mask in masks(model).items()
    }
    assert "transformer.h.0.attn.c_attn.weight" in given
    if method:
        one = guard(model, trainer.optimizer, method=method, density=0.3, steps=6, applications=3)
    else:
        one = guard(model, trainer.optimizer, given)
    trainer.train()
    check_frozen(model, one.masks)
    if method:
        assert one.step == 6
        assert one.density == pytest.approx(0.3, abs=1e-3)
    moved = model.get_parameter("transformer.h.0.attn.c_attn.weight")[one.masks["transformer.h.0.attn.c_attn.weight"]]
    assert moved.count_nonzero() > 0


def test_accelerate_with_accumulation() -> None:
    """Of three batches one makes a step; the wrapped optimizer is as good as the plain one."""
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    accelerator = accelerate.Accelerator(gradient_accumulation_steps=3, cpu=True)
    model: nn.Module = net()
    model, optimizer, data = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=0.01), batches(6))
    one = guard(model, optimizer, method="gradual", density=0.3, steps=2, begin=0.0, end=1.0)
    for inputs, labels in data:
        with accelerator.accumulate(model):
            accelerator.backward(F.cross_entropy(model(inputs), labels))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        check_frozen(model, one.masks)
    assert one.step == 2
    assert one.density == 0.3
