"""A language model pruned at once, without training: masks, perplexity before and after, and a folder to load."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from lth.config import Pruning, SettingsError, Table, as_settings_error
from lth.launch.intervened import intervened, with_passage
from lth.launch.passages import passage_of
from lth.launch.prune_calibration import Calibration, calibration_examples
from lth.launch.prune_folder import write_pruned
from lth.launch.specimen import Specimen
from lth.lineage import Execution, Reader, Store, build
from lth.lineage.loaded import forget, module_of
from lth.models.blocks import blocks_of
from lth.sparsity import criterion, granularity
from lth.sparsity.one_shot import PrunedBlock, block_inputs, prune_blocks
from lth.superweights.battery import BASELINE
from lth.superweights.coordinates import Coordinate
from lth.superweights.places import places
from lth.superweights.protocol import Protocol
from lth.superweights.texts import Passage, block_losses, perplexity_of

FORMAT = "lth.prune/1"

METHODS: Table[str] = Table("method", {"magnitude": "large_final", "wanda": "wanda", "ria": "ria"})
"""Methods, and the criteria that rank weights."""

SCOPES = ("layerwise", "owl")

SUPER = "super"
"""In place of coordinates: those that a search finds."""


@dataclass(frozen=True, slots=True)
class WantedPruning:
    """What is asked for.

    Attributes:
        method: entry of METHODS.
        sparsity: share of each matrix that goes; with a pattern it follows from that.
        pattern: N:M, as `2:4`.
        scope: `layerwise`, or `owl`.
        calibration: what activations come from.
        protect: coordinates that stay; `super` for those that a search finds.
        prompts: token ids that such a search looks at, in place of the usual three.
        text: what perplexity is measured on; None measures none, or the test part of the model's own data.
        protocol: how.
    """

    method: str = "wanda"
    sparsity: float = 0.5
    pattern: str | None = None
    scope: str = "layerwise"
    calibration: Calibration = field(default_factory=Calibration)
    protect: tuple[Coordinate, ...] | str = ()
    prompts: tuple[tuple[int, ...], ...] = ()
    text: str | None = None
    protocol: Protocol | None = None

    @property
    def pruning(self) -> Pruning:
        """As settings of pruning.

        Raises:
            SettingsError: if they do not fit each other.
        """
        if self.scope not in SCOPES:
            raise SettingsError(f"unknown scope {self.scope!r}. Choices: {', '.join(SCOPES)}")
        if self.pattern is not None and self.scope == "owl":
            raise SettingsError(f"pattern {self.pattern} keeps the same share of every matrix: leave out scope owl")
        with as_settings_error():
            kept = None if self.pattern is None else granularity(self.pattern).pattern
            if self.pattern is not None and kept is None:
                raise SettingsError(f"pattern {self.pattern!r} is none: give N:M, as 2:4")
            return Pruning(
                criterion=METHODS.pick(self.method),
                scope="layerwise",
                rate=self.sparsity if kept is None else 1 - kept[0] / kept[1],
                granularity=self.pattern or "unstructured",
            )

    def measured_by(self, protocol: Protocol) -> "WantedPruning":
        """Return the same with a protocol."""
        return replace(self, protocol=protocol)

    @property
    def needs_examples(self) -> bool:
        """Whether it looks at activations."""
        return self.scope == "owl" or bool(criterion(METHODS.pick(self.method)).needs_examples)


@dataclass(frozen=True, slots=True, eq=False)
class PrunedModel:
    """What was done.

    Attributes:
        document: `prune.json`.
        folder: where model and document were written; None where nothing was.
    """

    document: dict[str, Any]
    folder: Path | None


def prune_model(
    specimen: Specimen,
    wanted: WantedPruning,
    store: Store,
    out: Path | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> PrunedModel:
    """Prune a language model at once, measure its perplexity before and after, and write it as it was loaded.

    The linear matrices of the blocks are pruned; embeddings and head are not, as in the papers.

    Args:
        specimen: the model.
        wanted: how.
        store: where the perplexity of the model as it is is kept; and of the study that it comes from.
        out: a folder to write: the model as `transformers` loads it (of lth's own, safetensors), and `prune.json`.
        folder: of data files, for texts.
        say: takes a line of progress.
    Raises:
        SettingsError: if what is asked for does not fit the model or the texts.
        ValueError: if its weights cannot be read, or it has no blocks.
    """
    pruning = wanted.pruning
    if out is not None and out.exists() and (out.is_file() or any(out.iterdir())):
        raise SettingsError(f"{out} is no empty folder: name a new one")
    passage = _passage(specimen, wanted, folder)
    examples, calibration = None, None
    if wanted.needs_examples:
        examples, calibration = calibration_examples(specimen, wanted.calibration, wanted.method, passage, folder)
    before = None if passage is None else _dense(specimen, passage, store, say)
    say(f"loading {specimen.name}")
    module = module_of(Reader(store, specimen.sources), specimen.weights)
    try:
        path, blocks = blocks_of(module)
        protected = _protected(module, specimen, wanted)
        by_block = _by_block(module, protected, path)
        inputs = None if examples is None else block_inputs(module, blocks, examples)
        pruned = []
        for each in prune_blocks(blocks, inputs, pruning, owl=wanted.scope == "owl", protect=by_block):
            pruned.append(each)
            say(f"block {each.number + 1} of {len(blocks)} pruned")
        after = None if passage is None else _measured(module, passage, say)
        document = _document(specimen, wanted, pruned, path, protected, calibration, passage, before, after)
        if out is not None:
            write_pruned(module, specimen, out, document)
    finally:
        forget()  # it is no longer what its node says
    return PrunedModel(document, out)


def _passage(specimen: Specimen, wanted: WantedPruning, folder: Path | None) -> Passage | None:
    if wanted.protocol is None or (wanted.text is None and specimen.data is None):
        return None
    return passage_of(specimen, wanted.text, wanted.protocol, folder)


def _protected(module: nn.Module, specimen: Specimen, wanted: WantedPruning) -> tuple[Coordinate, ...]:
    if not isinstance(wanted.protect, str):
        return wanted.protect
    from lth.superweights.find import find
    from lth.superweights.search import PROMPTS

    prompts = wanted.prompts or tuple(specimen.prompt(text) for text in PROMPTS)
    return tuple(each.coordinate for each in find(module, prompts).candidates)


def _by_block(module: nn.Module, protected: Sequence[Coordinate], path: str) -> dict[int, list[str]]:
    """Return the weights that stay, by block, as `mlp.down_proj:507,1229`."""
    names: dict[int, list[str]] = {}
    for place in places(module, protected):
        if place.coordinate.expert is not None:
            continue  # matrices of fused experts are not pruned
        at = place.coordinate
        name = place.name.removeprefix(f"{path}.{at.block}.").removesuffix(".weight")
        names.setdefault(at.block, []).append(f"{name}:{at.output},{at.input}")
    return names


def _dense(specimen: Specimen, passage: Passage, store: Store, say: Callable[[str], None]) -> dict[str, float | None]:
    """Return the perplexity of the model as it is, which is kept in the store: `lth superweights` measures it too."""
    job, sources = intervened(specimen, passage, BASELINE), with_passage(specimen.sources, passage)
    if not store.has(job):
        say(f"perplexity before: {passage.words}")
    build([job], store, sources, Execution(workers=0))
    document = Reader(store, sources).document(job)
    nats = np.array([math.nan if each is None else each for each in document["nats"]])
    return _finite(perplexity_of(nats, np.array(document["tokens"]), _bytes_per_token(passage)))


def _measured(module: nn.Module, passage: Passage, say: Callable[[str], None]) -> dict[str, float | None]:
    say(f"perplexity after: {passage.words}")
    nats, tokens = block_losses(module, passage.examples)
    return _finite(perplexity_of(nats, tokens, _bytes_per_token(passage)))


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers with None for those that JSON has not: pruning may break a network."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _bytes_per_token(passage: Passage) -> float | None:
    number = passage.facts["bytes_per_token"]
    assert number is None or isinstance(number, int | float)
    return number


def _document(
    specimen: Specimen,
    wanted: WantedPruning,
    pruned: Sequence[PrunedBlock],
    path: str,
    protected: Sequence[Coordinate],
    calibration: Mapping[str, Any] | None,
    passage: Passage | None,
    before: Mapping[str, float | None] | None,
    after: Mapping[str, float | None] | None,
) -> dict[str, Any]:
    masks = {f"{path}.{each.number}.{name}": mask for each in pruned for name, mask in each.masks.items()}
    kept, total = (sum(int(value) for value in values) for values in zip(*_counts(masks), strict=True))
    return {
        "format": FORMAT,
        "model": {"name": specimen.name, **specimen.facts},
        "method": wanted.method,
        "scope": wanted.scope,
        "pattern": wanted.pattern,
        "sparsity": {"asked": wanted.pruning.rate, "reached": 1 - kept / total, "weights": total},
        "calibration": None if calibration is None else dict(calibration),
        "protected": [str(each) for each in protected],
        "left_dense": {
            f"{path}.{each.number}.{name.partition('.')[2]}": share
            for each in pruned
            for name, share in each.left_dense.items()
        },
        "density": {name: float(mask.float().mean()) for name, mask in masks.items()},
        "protocol": None if passage is None else passage.facts,
        "words": None if passage is None else passage.words,
        "before": before,
        "after": after,
    }


def _counts(masks: Mapping[str, Tensor]) -> Iterator[tuple[int, int]]:
    for mask in masks.values():
        yield int(mask.sum()), mask.numel()
