"""Networks measured on a part of the data, without training."""

from typing import Any, ClassVar

import torch
from pydantic import Field

from lth.config import TaskSpec, check_choice
from lth.data import Examples, batches_of
from lth.lineage.measuring import Measuring
from lth.lineage.nodes import DataSpec, WeightsNode
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.tasks import make_task
from lth.training import Interrupted, Where
from lth.training.population import Member, Population
from lth.training.seeds import Seeds

NORM_BATCH = 200
"""Training examples of a batch from which statistics of batch norms are estimated anew."""


class Evaluated(Measuring):
    """Networks of one model, measured on a part of the data.

    Attributes:
        weights: their states; results come in this order.
        data: what they are measured on.
        task: how.
        part: of the data.
        precision: arithmetic, as in a training.
        renew_norms: whether statistics of batch norms are first estimated anew, as means over the training part.
    """

    format: ClassVar[str] = "lth.evaluations/1"

    weights: tuple[WeightsNode, ...] = Field(min_length=1)
    data: DataSpec
    task: TaskSpec
    part: str = "test"
    precision: str = "float32"
    renew_norms: bool = False

    @property
    def steps(self) -> int:
        return len(self.weights)

    def measure(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
        task, parts = make_task(self.task), reader.parts(self.data)
        examples = parts[check_choice("part of the data", self.part, parts)]
        module, device = reader.module(self.weights[0].model), torch.device(where.device)
        results = []
        for number, node in enumerate(self.weights):
            if hooks.should_stop():
                raise Interrupted
            hooks.progress(self.key, number, {})
            state = reader.weights(node)
            member = Member(self.key, state, {}, Seeds(init=0, order=0, augmentation=0))
            population = Population(module, [member], device, self.precision, task)
            if self.renew_norms:
                renew_norms(population, parts["train"])
            values = population.evaluate(examples)[0]
            results.append({f"{self.part}/{name}": value for name, value in values.items()})
        return {"items": results}

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        return [Measured(end=item, steps=self.steps) for item in document["items"]]

    def words(self) -> str:
        count = len(self.weights)
        return f"{count} network{'s' * (count != 1)} measured on the {self.part} part as {self.task.name}"


@torch.no_grad()
def renew_norms(population: Population, train: Examples) -> None:
    """Estimate the statistics of batch norms anew, as plain means over the training part; in place.

    Source: Frankle et al. 2020, arXiv:1912.05671; for averages of weights, Izmailov et al. 2018, arXiv:1803.05407.
    """
    norms = [part for part in population.module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    population.module.eval()  # nothing else draws, or is estimated
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    for batch in batches_of(train, NORM_BATCH, population.device):
        population.task.forward(population.module, population.fitted(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
