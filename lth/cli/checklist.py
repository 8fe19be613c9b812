"""`lth reproduce` of numbers that were published of networks which others trained."""

import json
import sys
from dataclasses import replace

from lth.cli.errors import settings_as_usage
from lth.config import Running
from lth.studies.experiments.checklist import CHECKLISTS


def run_checklist(
    name: str,
    running: Running,
    *,
    model: str | None,
    text: str | None,
    protocol: str | None,
    tokens: int | None,
    join: str,
) -> int:
    """Show published numbers, and beside them those of the model at hand.

    Args:
        name: entry of CHECKLISTS.
        running: folder of data, store, workers.
        model: where the network lies; None measures nothing.
        text: what its loss is measured on: a file, or `wikitext-2`.
        protocol: how; by default blocks of 512 tokens.
        tokens: only so many of the text's first tokens; 0 takes all, None what `protocol_for` does.
        join: `file` or `rows`.
    """
    from lth.launch.checklist import AtHand, compare_checklist, named_model, print_checklist
    from lth.launch.passages import passage_of, protocol_for
    from lth.launch.specimen import load_specimen
    from lth.launch.superweights_progress import steps_observer
    from lth.lineage import Execution, Store

    checklist, at_hand = CHECKLISTS[name], None
    with settings_as_usage():
        if model is not None:
            known, place = named_model(model, checklist)
            specimen = load_specimen(place, store=running.store)
            passage = None
            if specimen.is_causal:
                chosen = protocol_for(specimen, protocol, tokens=tokens, join=join)
                passage = passage_of(specimen, text or "wikitext-2", chosen, running.folder)
            at_hand = AtHand(known, specimen, passage)
    usual = Execution(workers=0)  # one network in memory, which the values are read from too
    execution = usual if running.workers is None else replace(usual, workers=running.workers)
    if at_hand is None or running.quiet or running.json_:
        rows = compare_checklist(checklist, at_hand, Store(running.store), execution)
    else:
        with steps_observer()(f"measuring {at_hand.specimen.name}") as observer:
            rows = compare_checklist(checklist, at_hand, Store(running.store), execution, observer)
    words = at_hand.passage.words if at_hand is not None and at_hand.passage is not None else ""
    if running.json_:
        print(json.dumps({"checklist": name, "protocol": words, "rows": rows}, indent=1, allow_nan=False))
    else:
        print_checklist(checklist, rows, words)
        if at_hand is None:
            print("Name a model that is at hand with --model FOLDER, FILE.gguf or hub:OWNER/NAME.", file=sys.stderr)
    return 0
