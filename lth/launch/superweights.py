"""Super weights of a model from a name to a page: found, tested by intervention, beside their controls."""

import datetime
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lth.analysis.effects import BlockLosses, effect, is_harmful
from lth.analysis.super_weights import SuperWeightsDocument
from lth.config import SettingsError, check_choice
from lth.launch.intervened import intervened, with_passage
from lth.launch.load import refuse_nested
from lth.launch.memory import memory_plan
from lth.launch.passages import passage_of, protocol_for
from lth.launch.specimen import Specimen, load_specimen
from lth.launch.superweights_document import Proof, super_weights_document
from lth.launch.superweights_progress import steps_observer
from lth.lineage import (
    BuildError,
    Execution,
    Intervened,
    Job,
    Observer,
    Reader,
    Sources,
    Store,
    SuperWeightsFound,
    build,
    json_to_bytes,
    write_file,
)
from lth.lineage.executors.workers import free_memory
from lth.lineage.loaded import PRECISIONS
from lth.report import write_super_weights
from lth.superweights.battery import BASELINE, Trial, battery, causal_test
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Findings
from lth.superweights.interventions import Intervention
from lth.superweights.known import model_of, of_model, place_of, registry
from lth.superweights.places import Place
from lth.superweights.protocol import Protocol
from lth.superweights.search import PROMPTS, Search
from lth.superweights.texts import Passage

MOST_PAIRS = 3

ObserverFactory = Callable[[str], AbstractContextManager[Observer]]
"""What takes note of a build, from a few words on what it is for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and what it is proved by.

    Attributes:
        prompts: texts; none takes the usual three.
        token_prompts: prompts as token ids, beside or in place of texts.
        search: when a spike makes a candidate.
        coordinates: that are tested whether they spike or not.
        most: candidates that are tested, the likeliest first.
        text: what perplexity is measured on; None is the test part of the model's own data.
        protocol: how; None looks only.
        precision: of the weights.
        confidence: of the intervals.
        registered: the model of the registry whose published coordinates stand beside.
    """

    prompts: tuple[str, ...] = ()
    token_prompts: tuple[tuple[int, ...], ...] = ()
    search: Search = field(default_factory=Search)
    coordinates: tuple[Coordinate, ...] = ()
    most: int = 12
    text: str | None = None
    protocol: Protocol | None = None
    precision: str = "float32"
    confidence: float = 0.95
    registered: str | None = None

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)

    def document(self) -> dict[str, Any]:
        """Return what was asked for, in plain values."""
        protocol = None if self.protocol is None else self.protocol.model_dump(mode="json", exclude_none=True)
        return {
            "coordinates": [str(each) for each in self.coordinates],
            "most": self.most,
            "text": self.text,
            "protocol": protocol,
            "confidence": self.confidence,
        }


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
    wanted = Wanted(
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
    wanted: Wanted,
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
    run = _Run(specimen, wanted, passage, store, _fitting(specimen, wanted, execution or Execution()), observer)
    found = SuperWeightsFound(
        weights=specimen.weights,
        prompts=prompts,
        search=wanted.search,
        coordinates=wanted.coordinates,
        precision=wanted.precision,
    )
    run.build([found], "looking at the prompts")
    content = run.reader.document(found)
    findings = Findings.model_validate(content["findings"])
    places = {place.coordinate: place for place in map(Place.model_validate, content["places"])}
    proofs = {} if passage is None else run.prove(findings, places)
    base = None if passage is None else (run.job(BASELINE).key, run.losses(BASELINE))
    key = hashlib.sha256("".join([found.key, *sorted(job.key for job in run.jobs)]).encode()).hexdigest()[:8]
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


def prompt_ids(specimen: Specimen, wanted: Wanted) -> tuple[tuple[int, ...], ...]:
    """Return the prompts as token ids, texts first.

    Raises:
        SettingsError: if the model cannot read one.
    """
    texts = wanted.prompts or (() if wanted.token_prompts else PROMPTS)
    return (*(_prompt(specimen, text) for text in texts), *(specimen.checked(ids) for ids in wanted.token_prompts))


def _prompt(specimen: Specimen, text: str) -> tuple[int, ...]:
    try:
        return specimen.prompt(text)
    except SettingsError:
        raise
    except ValueError as error:  # as of a tokenizer of characters
        raise SettingsError(f"prompt {text!r}: {error}; give prompts of your own with --prompt") from error


def published(name: str) -> tuple[Coordinate, ...]:
    """Return the published coordinates of the model that a name means.

    Raises:
        SettingsError: if the registry has none.
    """
    model = model_of(name)
    known = () if model is None else tuple(each.coordinate for each in of_model(registry().weights, model))
    if not known:
        models = ", ".join(dict.fromkeys(each.model for each in registry().weights))
        raise SettingsError(
            f"no coordinates are published for {name}; there are some of {models}. Where the name of a folder does not "
            "say which it is, write MODEL=FOLDER"
        )
    return known


@dataclass(slots=True, eq=False)
class _Run:
    """One search under way."""

    specimen: Specimen
    wanted: Wanted
    passage: Passage | None
    store: Store
    execution: Execution
    observer: ObserverFactory | None
    jobs: list[Job] = field(default_factory=list)

    @property
    def sources(self) -> Sources:
        sources = self.specimen.sources
        return sources if self.passage is None else with_passage(sources, self.passage)

    @property
    def reader(self) -> Reader:
        return Reader(self.store, self.sources)

    def build(self, jobs: Sequence[Job], words: str) -> None:
        if not jobs:
            return
        self.jobs += jobs
        with self.observer(words) if self.observer else nullcontext() as attached:
            build(jobs, self.store, self.sources, self.execution, attached)

    def job(self, intervention: Intervention) -> Intervened:
        assert self.passage is not None
        return intervened(self.specimen, self.passage, intervention, self.wanted.precision)

    def losses(self, intervention: Intervention) -> BlockLosses:
        return BlockLosses.of_document(self.reader.document(self.job(intervention)))

    def prove(self, findings: Findings, places: Mapping[Coordinate, Place]) -> dict[Coordinate, Proof]:
        """Return the trials of each tested weight: the causal test of all, whole batteries where it did harm."""
        leads = [each.coordinate for each in findings.candidates if each.companion_of is None][: self.wanted.most]
        tested = list(dict.fromkeys([*self.wanted.coordinates, *leads]))
        harmful = self.test(tested, [BASELINE])
        companions = [each.coordinate for each in findings.candidates if each.companion_of in harmful]
        companions = [each for each in companions if each not in tested][: self.wanted.most]
        harmful += self.test(companions)
        trials = {each: [Trial("weight", causal_test(each))] for each in (*tested, *companions)}
        trials |= {each: _battery(each, places[each].shape, findings, harmful) for each in harmful}
        every = [self.job(trial.intervention) for each in harmful for trial in trials[each]]
        self.build(list(dict.fromkeys(every)), f"testing {_names(harmful)} beside controls")
        return {each: Proof(tuple(map(self.measured, some))) for each, some in trials.items()}

    def test(self, coordinates: Sequence[Coordinate], before: Sequence[Intervention] = ()) -> list[Coordinate]:
        """Zero each of some weights; return those whose absence does harm."""
        tests = {each: causal_test(each) for each in coordinates}
        words = f"zeroing {_names(coordinates)}, one at a time" if tests else "measuring the model as it is"
        self.build([self.job(each) for each in (*before, *tests.values())], words)
        base = self.losses(BASELINE)
        if not all(map(math.isfinite, base.nats)):
            raise BuildError(
                f"the loss of {self.specimen.name} as it is, in {self.wanted.precision}, is not finite: try another "
                "--precision, or look at the weights with `lth sparsity`"
            )
        effects = {at: effect(base, self.losses(test), self.wanted.confidence) for at, test in tests.items()}
        return [at for at, measured in effects.items() if is_harmful(measured)]

    def measured(self, trial: Trial) -> tuple[Trial, str, BlockLosses]:
        return trial, self.job(trial.intervention).key, self.losses(trial.intervention)


def _battery(
    coordinate: Coordinate, shape: tuple[int, int], findings: Findings, harmful: Sequence[Coordinate]
) -> list[Trial]:
    shown = [each for each in findings.rounds[0].spikes if each.coordinate == coordinate]
    related = [each.coordinate for each in findings.candidates if each.cancels == coordinate]
    others = list(dict.fromkeys([*related, *harmful]))[: MOST_PAIRS + 1]
    return battery(
        coordinate,
        shape,
        constant=sum(each.output for each in shown) / len(shown) if shown else None,
        others=[each for each in others if each != coordinate][:MOST_PAIRS],
        spared=[each for each in harmful if (each.block, each.expert) == (coordinate.block, coordinate.expert)],
    )


def _fitting(specimen: Specimen, wanted: Wanted, execution: Execution) -> Execution:
    """Return the execution with so many workers as memory carries: each holds the network."""
    free = free_memory()
    if not execution.in_workers or free is None:
        return execution
    context = wanted.protocol.context if wanted.protocol else 64
    skeleton = specimen.sources.skeleton(specimen.weights.model)
    needed = memory_plan(skeleton, wanted.precision, context).needed
    return replace(execution, workers=max(1, min(execution.workers, int(0.8 * free // (needed + 2**29)))))


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rstrip("/").rpartition("/")[2] or name)[:60]


def _names(coordinates: Sequence[Coordinate]) -> str:
    several = f"{len(coordinates)} weights"
    return f"({coordinates[0]})" if len(coordinates) == 1 else several
