"""What the interventions on one weight allow to say, in sentences."""

from collections.abc import Mapping, Sequence

from lth.analysis.effects import Effect
from lth.analysis.super_weights_words import times, times_range
from lth.superweights.known import MIN_RATIO

LITTLE = 1.02
"""Times perplexity up to which a change is called little."""


def effect_sentences(
    coordinate: str, effects: Mapping[str, Effect], controls: Sequence[tuple[str, Effect]] = ()
) -> list[str]:
    """Return what may be said of a weight; each sentence only where what it needs was measured.

    Args:
        coordinate: of the weight, as text.
        effects: what interventions on it did, beside the untouched network, by kind, each with factor 0: `scale` is the
            weight zeroed; `row`, `row-without`, `column`, `column-without`, `restore`, `constant` may be missing.
        controls: words and effect of each control that leaves the weight alone.
    """
    zeroed = effects["scale"]
    worse = f"the loss rises in {zeroed['worse']} of {zeroed['blocks']} blocks"
    text = [f"Zeroing ({coordinate}) {_multiplies(zeroed)}; {worse}."]
    if controls:
        words, strongest = max(controls, key=lambda each: _size(each[1]))
        many = f"The strongest of {len(controls)} controls" if len(controls) > 1 else "The control"
        text.append(f"{many} ({words}) {_multiplies(strongest)}.")
    if (column := effects.get("column")) is not None:
        text.append(_column(zeroed, column, effects.get("column-without")))
    if (row := effects.get("row")) is not None and (rest := effects.get("row-without")) is not None:
        text.append(f"Zeroing its row {_multiplies(row)}; zeroing the row without it {_multiplies(rest)}.")
    if _size(zeroed) >= MIN_RATIO:
        text += _at_token(effects)
    if (stop := zeroed["stop_words"]) is not None and stop["value"] is not None:
        change = f"{100 * stop['value']:+.1f} points"
        if stop["low"] is not None and stop["high"] is not None:
            change += f" [{100 * stop['low']:+.1f}, {100 * stop['high']:+.1f}]"
        text.append(f"The mean probability of stop words as the next token changes by {change}.")
    return text


def _column(zeroed: Effect, column: Effect, rest: Effect | None) -> str:
    without = "" if rest is None else f"; zeroing the neuron without it {_multiplies(rest)}"
    sentence = f"Zeroing its whole neuron (its column) {_multiplies(column)}{without}."
    if _size(zeroed) < MIN_RATIO or _end(column, "high") >= _end(zeroed, "low"):
        return sentence
    return (
        f'{sentence} That is less than zeroing the weight alone, so that "the model needs this weight" is the wrong '
        "reading: what the rest of the neuron writes does harm without it."
    )


def _at_token(effects: Mapping[str, Effect]) -> list[str]:
    """Return what it says that something stands in for the weight at its token, once a block."""
    text = []
    if (restored := effects.get("restore")) is not None:
        ends = "the weight acts through that token" if _is_little(restored) else "it acts at others too"
        text.append(
            f"With the super activation put back at one token of each block, zeroing {_multiplies(restored)}: {ends}."
        )
    if (constant := effects.get("constant")) is not None:
        ends = "it is a bias there" if _is_little(constant) else "a constant does not stand in for it"
        text.append(f"With its mean there instead, whatever the text, zeroing {_multiplies(constant)}: {ends}.")
    return text


def _is_little(effect: Effect) -> bool:
    return _end(effect, "high") <= LITTLE


def _multiplies(effect: Effect) -> str:
    ratio, ends = effect["ratio"], times_range(effect["ratio"])
    if ratio["value"] is None:
        return "breaks the network (its loss is no number)"
    return f"multiplies perplexity by {times(ratio['value'])}" + (f" ({ends})" if ends else "")


def _size(effect: Effect) -> float:
    value = effect["ratio"]["value"]
    return float("inf") if value is None else value


def _end(effect: Effect, end: str) -> float:
    value: float | None = effect["ratio"][end]  # type: ignore[literal-required]
    return _size(effect) if value is None else value
