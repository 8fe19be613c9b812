"""How far from the physical limit: arithmetic on surviving weights against the most that the core can do."""

from collections.abc import Iterator

from bench.cases import Case, lenet, tensors
from bench.loops import ours
from bench.machine import gflops_of_peak, peak
from bench.ratio import Effort, Row, take_turns

LEVELS = (0, 3, 8, 13, 20)


def limit_rows(effort: Effort) -> Iterator[Row]:
    """10^9 operations a second on surviving weights, over those of a large matrix product in the same turns.

    The first count takes zero pixels as if they were multiplied by. The engine passes over many of them, so the share
    comes out above what the core really does; the second count leaves them all out, and comes out below.
    """
    for level in LEVELS:
        case = lenet(level, effort)
        times = take_turns({"ours": ours(case, "sparse"), "peak": peak()}, effort)
        all_pixels, nonzero = operations(case)
        peaks = tuple(gflops_of_peak(each) for each in times["peak"])
        for count, words in ((all_pixels, "surviving weights"), (nonzero, "the same without zero pixels")):
            yield Row(
                f"{case.title}: {words} / peak of the core",
                "GFLOP/s",
                tuple(count / each / 1e9 for each in times["ours"]),
                peaks,
            )


def operations(case: Case) -> tuple[float, float]:
    """Multiplications and additions of a step: with all pixels, and with the nonzero ones alone.

    Forward, weight gradient and input gradient are two operations each by surviving weight and example; the first layer
    has no input gradient.
    """
    matrices = [(name, value) for name, value in case.start.items() if value.ndim > 1]
    kept = [(case.masks[name].float() if name in case.masks else value * 0 + 1) for name, value in matrices]
    share = (tensors(case.parts["train"])[0].flatten(1) != 0).float().mean(0)  # (pixel,)
    above = 6 * sum(mask.sum().item() for mask in kept[1:])
    batch = case.training.batch_size
    return batch * (4 * kept[0].sum().item() + above), batch * (4 * (kept[0] @ share).sum().item() + above)
