"""The jobs of a search for super weights: which candidates are tested, and beside what."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from lth.analysis.effects import BlockLosses, effect, is_harmful
from lth.launch.intervened import intervened, with_passage
from lth.launch.memory import memory_plan
from lth.launch.specimen import Specimen
from lth.launch.superweights_document import Proof
from lth.launch.superweights_wanted import WantedSearch
from lth.lineage import BuildError, Execution, Intervened, Job, Observer, Reader, Sources, Store, build
from lth.lineage.executors.workers import free_memory
from lth.superweights.battery import BASELINE, Trial, battery, causal_test
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Findings
from lth.superweights.interventions import Intervention
from lth.superweights.places import Place
from lth.superweights.texts import Passage

MOST_PAIRS = 3

ObserverFactory = Callable[[str], AbstractContextManager[Observer]]
"""What takes note of a build, from a few words on what it is for."""


@dataclass(slots=True, eq=False)
class SearchRun:
    """One search under way: looks, then chooses what is tested, and tests it."""

    specimen: Specimen
    wanted: WantedSearch
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


def fitting(specimen: Specimen, wanted: WantedSearch, execution: Execution) -> Execution:
    """Return the execution with so many workers as memory carries: each holds the network."""
    free = free_memory()
    if not execution.in_workers or free is None:
        return execution
    context = wanted.protocol.context if wanted.protocol else 64
    skeleton = specimen.sources.skeleton(specimen.weights.model)
    needed = memory_plan(skeleton, wanted.precision, context).needed
    return replace(execution, workers=max(1, min(execution.workers, int(0.8 * free // (needed + 2**29)))))


def _names(coordinates: Sequence[Coordinate]) -> str:
    several = f"{len(coordinates)} weights"
    return f"({coordinates[0]})" if len(coordinates) == 1 else several
