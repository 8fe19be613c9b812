"""What the forward passes of a search showed, as rows of its document."""

from collections.abc import Sequence

from lth.analysis.super_weights import CensusRow, MassiveRow, PromptDocument, RoundDocument, SpikeRow
from lth.launch.specimen import Specimen
from lth.superweights.findings import Findings


def prompt_rows(findings: Findings, texts: Sequence[str], specimen: Specimen) -> list[PromptDocument]:
    """Return the prompts; those given as ids stand behind the texts."""
    return [
        {
            "text": texts[number] if number < len(texts) else "",
            "ids": list(ids),
            "tokens": [_token(specimen, each) for each in ids],
        }
        for number, ids in enumerate(findings.prompts)
    ]


def spike_rows(findings: Findings) -> list[SpikeRow]:
    """Return the largest input and output of each block, prompt by prompt and round by round."""
    return [
        {
            "round": number,
            "prompt": row.prompt,
            "block": row.block,
            "expert": row.expert,
            "input": row.inputs[0].value,
            "input_channel": row.inputs[0].channel,
            "input_at": row.inputs[0].token,
            "output": row.outputs[0].value,
            "output_channel": row.outputs[0].channel,
            "output_at": row.outputs[0].token,
        }
        for number, shown in enumerate(findings.rounds, start=1)
        for row in shown.maxima
    ]


def round_rows(findings: Findings) -> list[RoundDocument]:
    """Return what each look zeroed before it, and what it found."""
    return [
        {
            "zeroed": [str(each) for each in shown.zeroed],
            "found": [str(each.coordinate) for each in findings.candidates if each.round == number],
        }
        for number, shown in enumerate(findings.rounds, start=1)
    ]


def census_rows(findings: Findings) -> list[CensusRow]:
    """Return the output channels that stand out most from their matrix."""
    return [
        {
            "block": row.block,
            "expert": row.expert,
            "channel": row.output,
            "maximum": row.maximum,
            "ratio": row.over_median,
        }
        for row in findings.census
    ]


def massive_rows(findings: Findings, specimen: Specimen) -> list[MassiveRow]:
    """Return the massive activations of the residual stream."""
    return [
        {
            "block": each.block,
            "prompt": each.prompt,
            "at": each.token,
            "token": _token(specimen, findings.prompts[each.prompt][each.token]),
            "channel": each.channel,
            "value": each.value,
            "ratio": each.over_median,
        }
        for each in findings.massive
    ]


def _token(specimen: Specimen, id: int) -> str:
    return "" if specimen.decode is None else specimen.decode([id])
