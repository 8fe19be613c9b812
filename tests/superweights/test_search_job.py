"""A search as a job of a build: its document, errors, and a network that is as before."""

from pathlib import Path

import pytest
import torch
from builds import HERE, metrics_in
from planted import plant

from lth.lineage import Pretrained, Reader, Sources, Store, SuperWeightsFound, build
from lth.lineage.foreign import pretrained_digest, save_gpt2
from lth.models import Gpt2, ModelSpec
from lth.superweights.coordinates import Coordinate
from lth.superweights.find import find
from lth.superweights.findings import Findings
from lth.superweights.places import Place
from lth.superweights.search import Search
from lth.training import Interrupted

ARGUMENTS = {"vocabulary": 50, "block": 16, "n_layer": 2, "n_head": 2, "n_embd": 32}
SPEC = ModelSpec(name="gpt-char", arguments=ARGUMENTS)
PROMPTS = ((3, 14, 15, 9), (3, 27, 18, 28), (3, 31, 41, 5))
AT = Coordinate(block=1, output=7, input=11)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """A GPT-2 with a planted super weight, in a folder."""
    torch.manual_seed(0)
    module = Gpt2(**ARGUMENTS).eval()  # type: ignore[arg-type]
    plant(module, AT, 8.0, PROMPTS)
    folder = tmp_path_factory.mktemp("planted")
    save_gpt2(module, folder)
    return Sources(weights={pretrained_digest(folder): folder})


def job(sources: Sources, **fields: object) -> SuperWeightsFound:
    (digest,) = sources.weights
    return SuperWeightsFound.model_validate(
        {"weights": Pretrained(spec=SPEC, digest=digest), "prompts": PROMPTS} | fields
    )


def test_the_document_holds_findings_and_places(sources: Sources, tmp_path: Path) -> None:
    store, other = Store(tmp_path), Coordinate(block=0, output=1, input=2)
    one = job(sources, coordinates=(other,))
    assert build([one], store, sources, HERE) == {}
    document = metrics_in(store, one)
    reader = Reader(store, sources)
    module = reader.module(SPEC).eval()
    module.load_state_dict(reader.weights(one.weights))
    findings = Findings.model_validate(document["findings"])
    assert findings == find(module, PROMPTS)
    assert [each.coordinate for each in findings.candidates] == [AT]
    places = [Place.model_validate(place) for place in document["places"]]
    assert [(place.coordinate, place.rank == 1) for place in places] == [(AT, True), (other, False)]
    assert reader.measured(one)[0].end == {"candidates": 1, "leading": 1}
    again = job(sources, search=Search(rounds=1))  # the process keeps the network
    assert build([again], store, sources, HERE) == {}
    assert metrics_in(store, again)["findings"]["candidates"] == document["findings"]["candidates"]


def test_a_coordinate_that_is_not_there(sources: Sources, tmp_path: Path) -> None:
    one = job(sources, coordinates=(Coordinate(block=2, output=0, input=0),))
    with pytest.raises(ValueError, match=r"\(2,0,0\) is no weight of this network: it has blocks 0 to 1"):
        build([one], Store(tmp_path), sources, HERE)


def test_it_stops_when_asked(sources: Sources, tmp_path: Path) -> None:
    from lth.lineage.plan import Work
    from lth.lineage.work import Hooks
    from lth.training import Where

    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 4

    store, one = Store(tmp_path), job(sources)
    with pytest.raises(Interrupted):
        works = [Work(one, (), True, frozenset())]
        SuperWeightsFound.run(works, Reader(store, sources), Where(), Hooks(should_stop=should_stop))
    assert not store.has(one)
    assert build([one], store, sources, HERE) == {}
    assert [each["coordinate"]["block"] for each in metrics_in(store, one)["findings"]["candidates"]] == [1]


def test_words(sources: Sources) -> None:
    one = job(sources)
    assert one.words() == f"a search for super weights in {one.weights.key[:8]} with 3 prompts"
