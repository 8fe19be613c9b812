"""Find candidates for super weights: spikes that show at the same coordinate on several prompts, until none is left."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Candidate, Findings, Maxima, Round, Spike
from lth.superweights.judge import judged, maxima_of, order, spikes_of
from lth.superweights.projections import DownProjection, down_projections, edited
from lth.superweights.search import Search
from lth.superweights.spikes import Call, Census, Look, MassiveActivation, NotFiniteError, Sight, look, plain_call


def find(
    module: nn.Module, prompts: Sequence[Sequence[int]], search: Search | None = None, call: Call = plain_call
) -> Findings:
    """Return the candidates for super weights of a transformer, and all that was looked at.

    One forward pass a prompt shows the largest inputs and outputs of each down-projection. A weight between two of them
    at one token is a candidate if `search` says so. Candidates are then zeroed, and the network is looked at again,
    until no neuron spikes that has not before. Every bit of the network returns in the end.

    Args:
        module: a transformer whose down-projections are known (`lth.superweights.projections.FAMILIES`).
        prompts: token ids, with whatever token the network expects at the beginning.
        search: limits.
        call: runs the network on tokens (1, position).
    Raises:
        ValueError: if there is no prompt, a prompt is empty or has tokens outside of the vocabulary, activations are
            not finite, or the architecture is unknown.

    Source: Yu et al. 2024, arXiv:2411.07191. There one coordinate a look is taken by eye; here three channels a block.
    """
    search = search or Search()
    check_prompts(module, prompts)
    projections = down_projections(module)
    candidates: list[Candidate] = []
    passed_over: list[Candidate] = []
    rounds: list[Round] = []
    massive: list[MassiveActivation] = []
    notes = _notes(search, len(prompts))
    census = Census()

    def look_at(number: int) -> Look:
        prompt, is_first = prompts[number], not rounds
        return look(
            module, projections, prompt, number=number, top=search.top, call=call, census=census if is_first else None
        )

    with _in_evaluation(module), _Zeroed(projections) as zeroed:
        for _ in range(search.rounds):
            try:
                looks = [look_at(number) for number in range(len(prompts))]
            except NotFiniteError as error:
                if not rounds:
                    raise
                notes.append(f"round {len(rounds) + 1} was given up, with the candidates so far zeroed: {error}")
                break
            massive = massive or [each for shown in looks for each in shown.massive if not rounds]
            rounds.append(_round(looks, search, zeroed.places))
            new, rare = judged(rounds, min(search.prompts, len(prompts)), candidates)
            candidates += new
            passed_over += rare
            if all(each.companion_of for each in new):
                break
            zeroed.add(each.coordinate for each in new)
        else:
            notes.append(f"new spikes showed in each of {search.rounds} rounds: there may be more behind them")
    return Findings(
        search=search,
        prompts=tuple(tuple(prompt) for prompt in prompts),
        candidates=tuple(sorted(candidates, key=order)),
        passed_over=tuple(passed_over),
        rounds=tuple(rounds),
        massive=tuple(massive),
        census=census.rows(),
        notes=tuple(notes),
    )


def check_prompts(module: nn.Module, prompts: Sequence[Sequence[int]]) -> None:
    """Raise a ValueError if a network cannot read the prompts."""
    if not prompts:
        raise ValueError("no prompt was given: a search needs at least one, three are better")
    vocabulary = vocabulary_of(module)
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise ValueError(f"prompt {number} is empty: give it a token at least")
        outside = [token for token in prompt if not 0 <= token < (vocabulary or max(prompt) + 1)]
        if outside:
            raise ValueError(
                f"prompt {number} has token {outside[0]}: the network's vocabulary has {vocabulary} tokens, from 0. "
                "Is the tokenizer another network's?"
            )


def vocabulary_of(module: nn.Module) -> int | None:
    """Return the number of tokens that a network knows; None if it does not say."""
    size = getattr(module, "vocabulary", None)
    if size is None and callable(embeddings := getattr(module, "get_input_embeddings", None)):
        size = getattr(embeddings(), "num_embeddings", None)
    return size if isinstance(size, int) else None


class _Zeroed:
    """Weights that are zero until the end of the context."""

    def __init__(self, projections: Sequence[DownProjection]) -> None:
        self.places: tuple[Coordinate, ...] = ()
        self._projections = {(each.block, each.expert): each for each in projections}
        self._edits: dict[tuple[int, int | None], Tensor] = {}
        self._undo = ExitStack()

    def __enter__(self) -> "_Zeroed":
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def add(self, coordinates: Iterable[Coordinate]) -> None:
        for coordinate in coordinates:
            place = coordinate.block, coordinate.expert
            if place not in self._edits:
                self._edits[place] = self._undo.enter_context(edited(self._projections[place]))
            self._edits[place][coordinate.output, coordinate.input] = 0
            self.places += (coordinate,)


@contextmanager
def _in_evaluation(module: nn.Module) -> Iterator[None]:
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _round(prompts: Sequence[Look], search: Search, zeroed: tuple[Coordinate, ...]) -> Round:
    maxima: list[Maxima] = []
    spikes: list[Spike] = []
    for number, shown in enumerate(prompts):
        largest: dict[int, Sight] = {}  # of the block's experts the one with the largest output
        for sight in sorted(shown.sights, key=lambda sight: abs(sight.outputs[0].value)):
            largest[sight.projection.block] = sight
        median = statistics.median(abs(sight.outputs[0].value) for sight in largest.values())
        maxima += [maxima_of(largest[block], number, median, search) for block in sorted(largest)]
        spikes += [spike for sight in shown.sights for spike in spikes_of(sight, number, median, search)]
    return Round(zeroed=zeroed, maxima=tuple(maxima), spikes=tuple(spikes))


def _notes(search: Search, num_prompts: int) -> list[str]:
    if num_prompts >= search.prompts:
        return []
    plural = "s were" if num_prompts > 1 else " was"
    return [f"only {num_prompts} prompt{plural} given: a candidate spikes on all of them, not on {search.prompts}"]
