"""Published numbers of networks that others trained, beside what the network at hand gives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from lth.analysis.effects import BlockLosses, effect
from lth.analysis.super_weights import Estimate
from lth.config import SettingsError
from lth.launch.intervened import intervened, with_passage
from lth.launch.specimen import Specimen
from lth.lineage import Execution, Observer, Reader, Store, build
from lth.lineage.loaded import module_of
from lth.studies.experiments.checklist import Checklist, Listed
from lth.superweights.battery import BASELINE
from lth.superweights.interventions import Intervention
from lth.superweights.known import model_of
from lth.superweights.places import places
from lth.superweights.texts import Passage

NOT_RUN = "not run: needs the model"
ELSEWHERE = "not measured: no task of lth's"


class ListedNumber(TypedDict):
    """A published number beside ours; ends of the band are null where it is open."""

    model: str
    words: str
    published: float | None
    band: list[float | None]
    ours: Estimate | None
    verdict: str
    source: str
    digits: int


@dataclass(frozen=True, slots=True, eq=False)
class AtHand:
    """A network of which numbers were published.

    Attributes:
        model: its name on the hub.
        specimen: the network.
        passage: the text that its losses are measured on; None for a network without a next token.
    """

    model: str
    specimen: Specimen
    passage: Passage | None


def named_model(name: str, checklist: Checklist) -> tuple[str, str]:
    """Return which model of a checklist a name means, and where it lies.

    Args:
        name: a folder, file or `hub:OWNER/NAME`; `MODEL=PLACE` where the place does not say which model it is.
        checklist: what is to be compared.
    Raises:
        SettingsError: if it is none of the checklist's.
    """
    models = list(dict.fromkeys(row.model for row in checklist.rows()))
    asked, _, place = name.rpartition("=")
    model = next((each for each in models if asked in (each, each.partition("/")[2])), None) if asked else None
    model = model or model_of(place)
    if model not in models:
        raise SettingsError(
            f"{name} is none of the models that numbers are published of here: {', '.join(models)}. Where the name of "
            "a folder does not say which it is, write MODEL=FOLDER"
        )
    return model, place


def compare_checklist(
    checklist: Checklist,
    at_hand: AtHand | None = None,
    store: Store | None = None,
    execution: Execution | None = None,
    observer: Observer | None = None,
) -> list[ListedNumber]:
    """Return each published number beside ours; without a network at hand each is not run.

    A verdict is `inside` or `outside` (ours against the band), or why there is none.
    """
    rows = checklist.rows()
    if at_hand is None:
        return [_number(row, None, ELSEWHERE if row.intervention is None else NOT_RUN) for row in rows]
    assert store is not None
    mine = [row for row in rows if row.model == at_hand.model and row.intervention is not None]
    values = _measured(at_hand, mine, store, execution or Execution(workers=0), observer)
    numbers = []
    for row in rows:
        if row.intervention is None:
            numbers.append(_number(row, None, ELSEWHERE))
        elif row.model != at_hand.model:
            numbers.append(_number(row, None, NOT_RUN))
        elif (ours := values.get((row.quantity, row.intervention))) is None:
            numbers.append(_number(row, None, "not measured: it predicts no next token"))
        else:
            numbers.append(_number(row, ours, _verdict(row, ours)))
    return numbers


def _number(row: Listed, ours: Estimate | None, verdict: str) -> ListedNumber:
    return {
        "model": row.model,
        "words": row.words,
        "published": row.published,
        "band": list(row.band),
        "ours": ours,
        "verdict": verdict,
        "source": row.source,
        "digits": row.digits,
    }


def _verdict(row: Listed, ours: Estimate) -> str:
    value = math.inf if ours["value"] is None else ours["value"]
    low, high = (-math.inf if row.band[0] is None else row.band[0]), (math.inf if row.band[1] is None else row.band[1])
    return "inside" if low <= value <= high else "outside"


def _measured(
    at_hand: AtHand, rows: Sequence[Listed], store: Store, execution: Execution, observer: Observer | None
) -> dict[tuple[str, Intervention], Estimate]:
    """Return what was measured, by quantity and intervention."""
    specimen, measured = at_hand.specimen, dict[tuple[str, Intervention], Estimate]()
    reader = Reader(store, specimen.sources)
    weights = [row.intervention for row in rows if row.quantity == "value" and row.intervention is not None]
    if weights:
        module = module_of(reader, specimen.weights, "float32", execution.device, execution.offload)
        for change, place in zip(weights, places(module, [each.coordinates[0] for each in weights]), strict=True):
            measured["value", change] = {"value": place.weight, "low": None, "high": None}
    if at_hand.passage is None:
        return measured
    sources = with_passage(specimen.sources, at_hand.passage)
    changes = [row.intervention for row in rows if row.quantity != "value" and row.intervention is not None]
    jobs = {change: intervened(specimen, at_hand.passage, change) for change in (BASELINE, *changes)}
    build(list(jobs.values()), store, sources, execution, observer)
    reader = Reader(store, sources)
    losses = {change: BlockLosses.of_document(reader.document(job)) for change, job in jobs.items()}
    base = losses.pop(BASELINE)
    level = math.fsum(base.nats) / sum(base.tokens)
    for change, changed in losses.items():
        did = effect(base, changed)
        measured["ratio", change], measured["change", change] = did["ratio"], _over(did["difference"], level)
    return measured


def _over(estimate: Estimate, level: float) -> Estimate:
    ends = (estimate["value"], estimate["low"], estimate["high"])
    value, low, high = (None if each is None else each / level for each in ends)
    return {"value": value, "low": low, "high": high}


def print_checklist(checklist: Checklist, rows: Sequence[ListedNumber], protocol: str) -> None:
    """Print each published number beside ours, model by model."""
    print(f"{checklist.words}\n{checklist.source}" + (f"\n{protocol}" if protocol else ""))
    model = ""
    for row in rows:
        if row["model"] != model:
            model = row["model"]
            print(f"\n{model}")
        print(f"  {row['words']}\n    {_published(row)}; ours {_ours(row)}{row['verdict']}")
    print()


def _published(row: ListedNumber) -> str:
    low, high = row["band"]
    band = f"band {low:.4g} to {high:.4g}" if low is not None and high is not None else f"at least {low:.4g}"
    what = "published without a number" if row["published"] is None else f"published {row['published']:.4g}"
    return f"{what} ({row['source']}; {band})"


def _ours(row: ListedNumber) -> str:
    ours, digits = row["ours"], row["digits"]
    if ours is None:
        return ""
    if ours["value"] is None:
        return "not finite: "
    ends = ""
    if ours["low"] is not None and ours["high"] is not None:
        ends = f" [{ours['low']:.{digits}f}, {ours['high']:.{digits}f}]"
    return f"{ours['value']:.{digits}f}{ends}: "
