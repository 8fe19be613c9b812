"""Super weights of a model from a name to a page: found, tested by intervention, beside their controls."""

import datetime
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lth.analysis.super_weights import SuperWeightsDocument
from lth.config import SettingsError
from lth.launch.passages import passage_of, protocol_for
from lth.launch.specimen import Specimen, load_specimen
from lth.launch.superweights_document import super_weights_document
from lth.launch.superweights_progress import steps_observer
from lth.launch.superweights_run import ObserverFactory, SearchRun, fitting
from lth.launch.superweights_wanted import WantedSearch, prompt_ids
from lth.lineage import Execution, Store, SuperWeightsFound, json_to_bytes, write_file
from lth.lineage.nested import refuse_nested
from lth.report import write_super_weights
from lth.superweights.battery import BASELINE
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Findings
from lth.superweights.known import model_of, place_of
from lth.superweights.places import Place
from lth.superweights.search import PROMPTS


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SuperWeights:
    """What a search left: prints as a few lines.

    Attributes:
        document: superweights.json.
        folder: with the document, report.html and figures/.
    """

    document: SuperWeightsDocument
    folder: Path

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def found(self) -> list[Coordinate]:
        """The coordinates of the super weights."""
        chosen = (each for each in self.document["candidates"] if each["verdict"] == "super weight")
        return [Coordinate.parse(each["coordinate"]) for each in chosen]

    def __str__(self) -> str:
        verdict = self.document["verdict"]
        return "\n".join([verdict["title"], *verdict["sentences"], f"report: {self.report}"])

    __repr__ = __str__


def super_weights(
    model: str,
    data: str | None = None,
    folder: str | Path | None = None,
    *,
    start_from: str | None = None,
    text: str | Path | None = None,
    protocol: str | None = None,
    tokens: int | None = None,
    bos: bool = False,
    join: str = "file",
    prompts: Sequence[str] = (),
    coordinates: Sequence[str] = (),
    find_only: bool = False,
    precision: str = "float32",
    store: str | Path = "lth-store",
    out: str | Path | None = None,
    execution: Execution | None = None,
    progress: bool = True,
) -> SuperWeights:
    """Find the super weights of a language model, test that they are, and write a page.

    Args:
        model: a folder with config.json, `hub:OWNER/NAME@REVISION`, a GGUF file, the ID of a study, or a model of lth
            with data and `start_from`.
        data: of a model of lth's.
        folder: of data files.
        start_from: weights of a model of lth's.
        text: what perplexity is measured on: a file, or `wikitext-2`.
        protocol: `blocks:512`, `sliding:2048:512` or `lines:512x100`; by default blocks of 512 tokens, or of the
            model's context where that is shorter.
        tokens: only so many of the text's first tokens; 0 takes all. By default 20,480, or all that the protocol says
            where one is named.
        bos: whether the BOS token stands before each block.
        join: `file`, the text as it stands, or `rows`, its lines joined by two newlines.
        prompts: that are looked at, in place of the usual three.
        coordinates: `block,output,input` of weights to test, whether they spike or not.
        find_only: look, and measure nothing.
        precision: of the weights: float32, bfloat16, float16.
        store: where results are kept; a second call does only what is not there yet.
        out: folder of the page; by default lth-reports/superweights-MODEL-ID.
        execution: device, workers, folder to offload to.
        progress: whether to show progress.
    Raises:
        ValueError: if there is no such model, text or coordinate, or they do not fit each other.
        BuildError, StoreError: if a job or the store fails; finished work is kept.

    Example:
        found = lth.super_weights("./SmolLM2.gguf", text="wikitext-2")
        print(found, found.found)
    """
    refuse_nested()
    specimen = load_specimen(
        place_of(model), data, Path(folder) if folder else None, start_from=start_from, store=Path(store)
    )
    wanted = WantedSearch(
        prompts=tuple(prompts),
        coordinates=tuple(map(Coordinate.parse, coordinates)),
        text=None if text is None else str(text),
        protocol=None if find_only else protocol_for(specimen, protocol, tokens=tokens, bos=bos, join=join),
        precision=precision,
        registered=model_of(model),
    )
    return run_super_weights(
        specimen,
        wanted,
        Store(Path(store)),
        execution,
        steps_observer() if progress else None,
        Path(out) if out else None,
        Path(folder) if folder else None,
    )


def run_super_weights(
    specimen: Specimen,
    wanted: WantedSearch,
    store: Store,
    execution: Execution | None = None,
    observer: ObserverFactory | None = None,
    out: Path | None = None,
    folder: Path | None = None,
) -> SuperWeights:
    """Find super weights, prove them where a protocol is given, and write document and page.

    Args:
        specimen: the model.
        wanted: what is looked for.
        store: where results are kept.
        execution: how jobs run.
        observer: what takes note.
        out: folder of the page.
        folder: of data files, for the text.
    """
    prompts = prompt_ids(specimen, wanted)
    # What cannot be measured is said before anything runs.
    passage = None if wanted.protocol is None else passage_of(specimen, wanted.text, wanted.protocol, folder)
    if passage is not None and len(passage.examples) < 2:
        raise SettingsError("one block of text gives no interval: take more --tokens, or shorter blocks")
    run = SearchRun(specimen, wanted, passage, store, fitting(specimen, wanted, execution or Execution()), observer)
    search = SuperWeightsFound(
        weights=specimen.weights,
        prompts=prompts,
        search=wanted.search,
        coordinates=wanted.coordinates,
        precision=wanted.precision,
    )
    run.build([search], "looking at the prompts")
    content = run.reader.document(search)
    findings = Findings.model_validate(content["findings"])
    places = {place.coordinate: place for place in map(Place.model_validate, content["places"])}
    proofs = {} if passage is None else run.prove(findings, places)
    base = None if passage is None else (run.job(BASELINE).key, run.losses(BASELINE))
    key = hashlib.sha256("".join([search.key, *sorted(job.key for job in run.jobs)]).encode()).hexdigest()[:8]
    document = super_weights_document(
        id=key,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        specimen=specimen,
        texts=wanted.prompts or (() if wanted.token_prompts else PROMPTS),
        findings=findings,
        places=places,
        passage=passage,
        base=base,
        proofs=proofs,
        precision=wanted.precision,
        confidence=wanted.confidence,
        registered=wanted.registered,
        config={"model": specimen.name} | wanted.document(),
    )
    place = out or Path("lth-reports") / f"superweights-{_plain(specimen.name)}-{key}"
    write_file(place / "superweights.json", json_to_bytes(document))
    write_super_weights(place)
    return SuperWeights(document, place)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rstrip("/").rpartition("/")[2] or name)[:60]
