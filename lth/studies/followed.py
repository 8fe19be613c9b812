"""Super weights followed through a search: found anew in every network, each beside the base rates of its survival."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch

from lth.analysis.documents import Results, TableRow
from lth.analysis.points import Point
from lth.data import Data, tokenizer_of
from lth.data.types import Subset
from lth.lineage import Diverged, Reader, Trained
from lth.lineage.loaded import forget, module_of
from lth.sparsity import entries_of
from lth.studies.carriers import TOP, Carrier, events, looker
from lth.studies.entries import entry_of
from lth.studies.subject import Subject
from lth.studies.watched import KINDS, rate, rows_of
from lth.superweights import Coordinate
from lth.superweights.find import check_prompts
from lth.superweights.projections import down_projections

WINDOWS = 8
"""Windows of the validation part that networks are looked at on; as many others measure what a weight does."""

ORIGIN, DENSE = "in the initial network", "in the dense network"
"""Where a spike is the strongest that is followed from there on."""

STILL = "still carries the spike"


@dataclass(frozen=True, slots=True)
class Network:
    """One network of a replicate, and what carries its spikes, the strongest first.

    Attributes:
        name: "origin", or "level 3".
        point: of its training; None for the origin.
        carriers: candidates of the first look, or the top weight.
    """

    name: str
    point: Point | None
    carriers: tuple[Carrier, ...]

    @property
    def coordinates(self) -> list[Coordinate]:
        return [each.coordinate for each in self.carriers]


def check_followed(prompts: Sequence[str], subject: Subject) -> None:
    """Check that super weights can be followed.

    Raises:
        ValueError: if the network is no language model of a family that is known, or a prompt cannot be read.
    """
    down_projections(subject.module)
    data, task = subject.sources.data[subject.data.digest], subject.training.task.name
    inputs = data.parts["train"].take(torch.arange(1), torch.device("cpu")).keys() - {"y"}
    if task != "language-model" or inputs != {"x"}:
        raise ValueError(
            "super_weights: a language model is needed, which is given windows of tokens; found task "
            f"{task!r} on {data.name} with inputs {', '.join(sorted(inputs))}"
        )
    if prompts:
        check_prompts(subject.module, _encoded(prompts, data))


def followed_tables(reader: Reader, points: Sequence[Point], results: Results) -> dict[str, list[TableRow]]:
    """Return what became of super weights, from stored weights alone; nothing where the settings do not ask for it.

    `super_weights` has a row for each event of each network and replicate, `super_weights_survival` one for each
    level and kind of weights, in percent with intervals over replicates.
    """
    config = results["config"]
    if not config.get("super_weights"):
        return {}
    ready = [point for point in points if isinstance(point.job, Trained) and reader.store.has(point.job)]
    rows: list[TableRow] = []
    survival: dict[tuple[str, float, str], list[float | None]] = {}
    for replicate in sorted({point.replicate for point in ready}):
        own = [point for point in ready if point.replicate == replicate and point.arm in ("dense", "ticket")]
        own.sort(key=lambda point: float(point.at["level"]))
        networks = list(_networks(reader, own, config.get("prompts", []), results["confidence"]))
        if not networks:
            continue
        fates = _fates(reader, own, networks)
        rows += [{"replicate": replicate, **row} for row in _rows(networks, fates)]
        for since, first in ((ORIGIN, networks[0]), (DENSE, networks[1] if len(networks) > 1 else None)):
            if first is not None:
                _survival(survival, since, first.coordinates[0], networks, fates)
    forget()
    confidence = results["confidence"]
    rates = [
        {
            "strongest": since,
            "density": density,
            "weights": kind,
            **rate(values, confidence, kind in (KINDS["is_kept"], STILL)),
        }
        for (since, density, kind), values in survival.items()
    ]
    return {"super_weights": rows, "super_weights_survival": rates}


def _encoded(prompts: Sequence[str], data: Data) -> list[list[int]]:
    return [tokenizer_of(data).encode(prompt).tolist() for prompt in prompts]


def _networks(reader: Reader, points: Sequence[Point], prompts: Sequence[str], confidence: float) -> Iterator[Network]:
    """Look at the origin and at every level of a replicate, up to one that diverged."""
    if not points or points[0].arm != "dense":
        return
    dense = points[0].job
    assert isinstance(dense, Trained)
    examples = reader.parts(dense.data)["validation"]
    count = min(WINDOWS, len(examples))
    looked = torch.arange(count)
    measured = looked + count if len(examples) >= 2 * count else looked
    windows = examples.take(looked, torch.device("cpu"))["x"].tolist()
    texts = _encoded(prompts, reader.sources.data[dense.data.digest]) if prompts else windows
    look = looker(texts, Subset(examples, measured), confidence)
    yield Network("origin", None, look(module_of(reader, dense.start)))
    for point in points:
        assert isinstance(point.job, Trained)
        try:
            module = module_of(reader, point.job)
        except Diverged:
            return
        yield Network(f"level {point.at['level']:g}", point, look(module))


EFFECTS: dict[str, Literal["value", "low", "high"]] = {"": "value", "_low": "low", "_high": "high"}
"""Ends of the columns of the change of the loss without a weight."""

Fates = dict[tuple[Coordinate, float], TableRow]
"""What the mask of a level does with a weight, beside its base rates: rows of `watched`, by weight and level."""


def _fates(reader: Reader, points: list[Point], networks: Sequence[Network]) -> Fates:
    """Return the fate of every weight that carries a spike of any of the networks."""
    job = points[0].job
    assert isinstance(job, Trained)
    module = reader.skeleton(job.model)
    coordinates = list({each: None for network in networks for each in network.coordinates})
    texts = {entry_of(module, each): each for each in coordinates}
    levels = [float(network.point.at["level"]) for network in networks if network.point is not None]
    after = dict(pairwise(levels))
    return {
        (texts[row["weight"]], after[row["level"]]): row
        for row in rows_of(reader, points, entries_of(module, list(texts)))
        if row["level"] in after
    }


def _rows(networks: Sequence[Network], fates: Fates) -> Iterator[TableRow]:
    for number, network in enumerate(networks):
        changes: Any = (
            events(networks[number - 1].carriers, network.carriers)
            if number
            else (("found", None, each) for each in network.carriers)
        )
        for event, old, new in changes:
            weight, shown = (old or new).coordinate, new or old
            level = None if network.point is None else float(network.point.at["level"])
            fate = fates.get((weight, level or 0.0)) or dict.fromkeys(KINDS)
            yield {
                "network": network.name,
                "level": level,
                "density": 1.0 if network.point is None else network.point.at["density"],
                "event": event,
                "weight": str(weight),
                "now": None if new is None else str(new.coordinate),
                "kind": shown.kind,
                "value": None if new is None else new.weight,
                "input": None if new is None else new.input,
                "output": None if new is None else new.output,
                "share": None if new is None else new.share,
                "over_channels": None if new is None else new.over_channels,
                **{f"effect{end}": None if new is None else new.effect[key] for end, key in EFFECTS.items()},
                **{column: fate[column] for column in KINDS},
            }


def _survival(
    values: dict[tuple[str, float, str], list[float | None]],
    since: str,
    weight: Coordinate,
    networks: Sequence[Network],
    fates: Fates,
) -> None:
    """Add to the values of each level whether a weight is kept, what is kept of others, and whether it still spikes."""
    for network in networks:
        if network.point is None or (fate := fates.get((weight, float(network.point.at["level"])))) is None:
            continue
        density = float(network.point.at["density"])
        for column, words in KINDS.items():
            values.setdefault((since, density, words), []).append(float(fate[column]))
        values.setdefault((since, density, STILL), []).append(float(weight in network.coordinates))


def followed_sentence(tables: dict[str, list[TableRow]]) -> str | None:
    """Return what became of the dense networks' strongest spikes by the last level; None where nothing is followed."""
    rates = [row for row in tables.get("super_weights_survival", []) if row["strongest"] == DENSE]
    dense = [row for row in tables.get("super_weights", []) if row["network"] == "level 0" and row["now"] is not None]
    if not rates or not dense:
        return None
    last = min(row["density"] for row in rates)
    by_kind = {row["weights"]: row for row in rates if row["density"] == last}
    networks = {row["replicate"] for row in dense}
    passing = {row["replicate"] for row in dense if row["kind"] != TOP}
    first = (
        f"In {len(passing)} of {len(networks)} dense networks weights meet the limits of a search for super weights "
        "(whether the network needs them, only taking them out can tell)"
    )
    if not passing:
        first = (
            "No weight of a dense network meets the limits of a search for super weights, so its strongest spike, a "
            "natural top weight, is followed"
        )
    kept, still = by_kind[KINDS["is_kept"]], by_kind[STILL]
    beside = ", ".join(
        f"{by_kind[KINDS[column]]['mean']:.0f} % of {KINDS[column]}" for column in ("of_tenth", "of_matrix", "of_layer")
    )
    return (
        f"{first}: with {100 * last:.3g} % of all weights left, {_count(kept)} of the dense networks' strongest ones "
        f"are kept{_ends(kept)}, beside {beside}; {_count(still)} still carry the spike{_ends(still)}."
    )


def _count(row: TableRow) -> str:
    known = [value for value in row["values"] if value is not None]
    return f"{sum(value > 0 for value in known)} of {len(known)}"


def _ends(row: TableRow) -> str:
    return f" ({row['mean']:.0f} % [{row['low']:.0f}, {row['high']:.0f}])"
