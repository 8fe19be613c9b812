"""A whole study of the paper's size, from seconds a step at each of its levels."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.cases import PAPER, PAPER_STEPS, lenet, lenet_masks
from bench.loops import our_validation, ours, usual, usual_validation
from bench.ratio import Effort, Row, Turns, take_turns
from bench.side_by_side import side_by_side
from lth.sparsity import Masks

CORES = 2


def study_rows(effort: Effort) -> Iterator[Row]:
    """Minutes of training of one arm: 22 trainings in each of 5 replicates, by two one-thread processes.

    Both processes go through the levels at the same time, each way in short turns; seconds a step are multiplied by
    50,000 steps a level, and by 5 replicates over two cores; once with a validation every 100 steps, once
    without. Pruning, loading, writing and the test set are left out on both sides.
    """
    masks = lenet_masks(effort)
    lanes = side_by_side(CORES, study_lane, effort, masks if not effort.is_tiny else masks[:3])
    minutes = PAPER.replicates / CORES / len(lanes) / 60

    def total(side: str, validations: int) -> Turns:
        """Minutes, turn by turn; the mean of the lanes."""
        return tuple(
            minutes
            * sum(
                PAPER_STEPS * level[f"{side} steps"][turn] + validations * level[f"{side} validations"][turn]
                for lane in lanes
                for level in lane
            )
            for turn in range(effort.turns)
        )

    labels = {"levels": len(lanes[0]), "steps a level": PAPER_STEPS, "replicates": PAPER.replicates, "cores": CORES}
    for words, validations in (("", 0), (" and validations", PAPER_STEPS // PAPER.training.evaluate_every)):
        goal = "15x, 12 min" if validations == 0 else "15x"
        yield Row(
            f"whole study (extrapolated), updates{words}: auto / usual loop",
            "minutes",
            total("our", validations),
            total("usual", validations),
            is_cost=True,
            goal=goal,
            labels=labels,
        )


def study_lane(
    lane: int, wait: Callable[[], object], effort: Effort, masks: tuple[Masks, ...]
) -> list[dict[str, Turns]]:
    """Seconds of a step and of a validation at every level, turn by turn, both ways, in step with the other lanes."""
    found = []
    for level, own in enumerate(masks):
        case = lenet(level, effort, own)
        ways = {
            "our steps": ours(case, "auto"),
            "usual steps": usual(case, case.module()),
            "our validations": our_validation(case, "auto"),
            "usual validations": usual_validation(case, case.module()),
        }
        found.append(take_turns(ways, replace(effort, seconds=effort.seconds / 2), wait))
    return found
