"""The tables of a search for super weights in a terminal."""

from lth.analysis.super_weights import SuperWeightsDocument, leading
from lth.analysis.super_weights_words import amount, times, times_range
from lth.analysis.table import aligned


def candidate_lines(document: SuperWeightsDocument) -> list[str]:
    """Return a line for each candidate: what it is, and what zeroing it does; none where there is none."""
    zeroed = {
        row["coordinate"]: row
        for row in document["interventions"]
        if row["kind"] == "scale" and row["factor"] == 0 and row["group"] == "weight"
    }
    table = [["block,output,input", "value", "rank", "prompts", "zeroed: perplexity x", "interval", "verdict", ""]]
    shown = leading(document["candidates"])
    for each in shown:
        row = zeroed.get(each["coordinate"])
        table.append(
            [
                each["coordinate"],
                amount(each["value"]),
                f"{each['rank']:,}",
                f"{each['prompts']} of {len(document['prompts'])}",
                "" if row is None else times(row["ratio"]["value"]),
                "" if row is None else times_range(row["ratio"]),
                each["verdict"],
                each["label"],
            ]
        )
    others = len(document["candidates"]) - len(shown)
    more = [f"and {others} companions: other weights of the same neurons, which write less"] if others else []
    filled = [column for column in zip(*table, strict=True) if any(column[1:])]
    return [*aligned([list(row) for row in zip(*filled, strict=True)]), *more] if shown else []


def known_lines(document: SuperWeightsDocument) -> list[str]:
    """Return a line for each published coordinate beside what was measured here; none where there is none."""
    words = {True: "agrees", False: "DIFFERS", None: "not compared"}
    return [
        f"Published for {row['model']}: {row['coordinate']} ({row['published']}). Here: {row['here']}: "
        f"{words[row['agrees']]}. {row['source']}"
        for row in document["known"]
    ]
