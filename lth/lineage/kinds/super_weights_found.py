"""Candidates for super weights of a transformer, and all that a search for them looked at."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import Tensor, nn

from lth.lineage.files import json_to_bytes
from lth.lineage.nodes import Job, WeightsNode
from lth.lineage.provenance import timed_provenance
from lth.lineage.reader import Measured, Reader
from lth.lineage.work import Hooks
from lth.superweights.coordinates import Coordinate
from lth.superweights.search import Search
from lth.training import Interrupted, Where

if TYPE_CHECKING:
    from lth.lineage.plan import Work

FORMAT = "lth.super-weights-found/1"


class SuperWeightsFound(Job):
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

    weights: WeightsNode
    prompts: tuple[tuple[int, ...], ...] = Field(min_length=1)
    search: Search = Search()
    coordinates: tuple[Coordinate, ...] = ()
    precision: str = "float32"

    @classmethod
    def run(cls, works: Sequence["Work"], reader: Reader, where: Where, hooks: Hooks) -> None:
        for work in works:
            job = work.job
            assert isinstance(job, cls)
            with timed_provenance("torch", where.device) as provenance:
                document = job._search(reader, where, hooks)
            reader.store.commit(job, {"metrics.json": json_to_bytes({"format": FORMAT} | document)}, provenance)
            reader.store.finish_work(job.key)

    def _search(self, reader: Reader, where: Where, hooks: Hooks) -> dict[str, Any]:
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
