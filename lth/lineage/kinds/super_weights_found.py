"""Candidates for super weights of a transformer, and all that a search for them looked at."""

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from lth.lineage.measuring import Measuring
from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.superweights.coordinates import Coordinate
from lth.superweights.search import Search
from lth.training import Interrupted, Where


class SuperWeightsFound(Measuring):
    """A search for super weights in a transformer.

    Measured are how many candidates there are, and how many of them lead; the document holds the findings
    (`lth.superweights.findings.Findings`), and value and rank of each candidate and of the coordinates asked for
    (`lth.superweights.places.Place`).

    Attributes:
        weights: of the network.
        prompts: what it reads: token ids.
        search: when a spike is a candidate.
        coordinates: of weights whose values and ranks are asked for too.
        precision: of the weights.
    """

    format: ClassVar[str] = "lth.super-weights-found/1"

    weights: WeightsNode
    prompts: tuple[tuple[int, ...], ...] = Field(min_length=1)
    search: Search = Search()
    coordinates: tuple[Coordinate, ...] = ()
    precision: str = "float32"

    def measure(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
        from lth.lineage.loaded import module_of
        from lth.superweights.find import find
        from lth.superweights.places import places

        def call(module: nn.Module, tokens: Tensor) -> object:
            if hooks.should_stop():
                raise Interrupted
            return module(tokens)

        module = module_of(reader, self.weights, self.precision, where.device, where.offload)
        places(module, self.coordinates)  # says at once what is not there
        findings = find(module, self.prompts, self.search, call)
        wanted = dict.fromkeys([*(each.coordinate for each in findings.candidates), *self.coordinates])
        return {
            "items": [{"candidates": len(findings.candidates), "leading": len(findings.leading())}],
            "findings": findings.model_dump(mode="json"),
            "places": [place.model_dump(mode="json") for place in places(module, wanted)],
        }

    def measured(self, document: dict[str, Any]) -> list[Measured]:
        return [Measured(end=item, steps=self.steps) for item in document["items"]]

    def words(self) -> str:
        count = len(self.prompts)
        return f"a search for super weights in {self.weights.key[:8]} with {count} prompt{'s' * (count != 1)}"
