"""Numbers of a search for super weights in words: the same on the page, in sentences and in a terminal."""

from lth.analysis.super_weights import Estimate

DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def amount(value: float | None, digits: int = 4) -> str:
    """Return a number with so many digits: '25.61', '1,820', '1.82 x 10⁶'; 'not finite' where there is none."""
    if value is None:
        return "not finite"
    size = abs(value)
    if size >= 1e6:
        return _powers(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"


def times(ratio: float | None) -> str:
    """Return a ratio, with more digits near 1: '6.05', '1.004', '71,000', '1.8 x 10⁶'."""
    if ratio is None:
        return "not finite"
    if ratio >= 1e6:
        return _powers(ratio)
    if ratio >= 10:
        return f"{float(f'{ratio:.3g}'):,.0f}" if ratio >= 100 else f"{ratio:.1f}"
    return f"{ratio:.2f}" if ratio >= 1.2 else f"{ratio:.3f}"


def times_range(ratio: Estimate) -> str:
    """Return the interval of a ratio: '5.5 to 6.6'; empty without one."""
    if ratio["low"] is None or ratio["high"] is None:
        return ""
    return f"{times(ratio['low'])} to {times(ratio['high'])}"


def _powers(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits}\N{MULTIPLICATION SIGN}10{str(int(power)).translate(DIGITS)}"


def signed(value: float | None) -> str:
    """Return a difference with its sign: '+1.801', '-0.004'."""
    return "not finite" if value is None else f"{value:+.4f}" if abs(value) < 0.1 else f"{value:+.3f}"
