"""Supermasks: masks that are learned over weights that never train.

Sources: Zhou et al. 2019, arXiv:1905.01067, Section 5; Ramanujan et al. 2020, arXiv:1911.13299.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Recipe, StudySettings, SupermaskSettings
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("sampled", "learned masks, sampled", "subject"),
    Arm("thresholded", "learned masks, thresholded", "subject"),
    Arm("random", "random masks with the densities of the thresholded ones", "control"),
    Arm("untrained", "no masks: the untrained network", "baseline"),
)


class LearnSupermask(StudySettings):
    """All that determines a study of supermasks: how the scores are trained, and how masks follow from them."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    replicates: int = Field(default=3, ge=1, description="networks with seeds of their own; intervals are over them")
    draws: int = Field(default=10, ge=1, description="masks drawn to measure the mean of sampled masks")
    training: Recipe = Recipe(duration="2000it", lr=0.1)
    supermask: SupermaskSettings = SupermaskSettings()


def derive(settings: LearnSupermask, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the measurements of one replicate: the network under learned and random masks, and without any."""
    from lth.lineage import Evaluated, Initial, LearnedMasks, MaskedNetwork, Shuffled

    model = subject.model.model_copy(update={"supermask": settings.supermask})
    trained = subject.train(Initial(spec=model, seed=seeds.init), None, seeds)
    learned = LearnedMasks(trained=trained)
    networks = [
        ("untrained", MaskedNetwork(trained=trained)),
        ("random", MaskedNetwork(trained=trained, masks=Shuffled(masks=learned))),
        ("thresholded", MaskedNetwork(trained=trained, masks=learned)),
    ]
    if settings.supermask.method == "bernoulli":
        drawn = (LearnedMasks(trained=trained, draw=draw) for draw in range(settings.draws))
        networks += [("sampled", MaskedNetwork(trained=trained, masks=masks)) for masks in drawn]
    job = Evaluated(
        weights=tuple(weights for _, weights in networks),
        data=subject.data,
        task=subject.training.task,
        precision=subject.training.precision,
    )
    for item, (arm, _) in enumerate(networks):
        yield Point(job, arm, replicate, {}, item)


def resolve(settings: LearnSupermask, subject: "Subject") -> LearnSupermask:
    """Make the supermask once: an error where nothing can be masked."""
    subject.sources.module(subject.model.model_copy(update={"supermask": settings.supermask}))
    return settings


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say what learned masks make of an untrained network, beside random masks and none; and how dense they are."""
    from lth.analysis.arms import compare_arms
    from lth.analysis.statistics import interval
    from lth.lineage import MaskedNetwork
    from lth.sparsity import density_by_tensor

    densities: dict[str, list[float]] = {}
    for point in points:
        node = getattr(point.job, "weights", ())[point.item] if reader.store.has(point.job) else None
        if point.arm == "thresholded" and isinstance(node, MaskedNetwork) and node.masks is not None:
            for name, value in density_by_tensor(reader.masks(node.masks)).items():
                densities.setdefault(name, []).append(value)
    confidence = results["confidence"]
    table = [{"layer": name, **interval(values, confidence)} for name, values in densities.items()]
    return Conclusion(compare_arms(results, finding="supermask"), {"densities": table})


def learned_supermask_on_digits() -> LearnSupermask:
    """Return masks over LeNet-300-100 on scikit-learn's digits: the method in a minute."""
    return LearnSupermask()


def zhou_2019_supermask() -> LearnSupermask:
    """Return masks over LeNet-300-100 on MNIST, after Zhou et al. 2019, arXiv:1905.01067, Section 5.

    Their best variant: signed constants with dynamic rescaling. The paper's programs train the scores by SGD with
    momentum; Adam is quicker and hardly minds its learning rate.
    """
    return LearnSupermask(
        data="mnist", rescale=True, weights="signed_constant", duration="5000it", evaluate_every=500, validation=5000
    )


SUPERMASK = StudyType(
    name="supermask",
    words="Learn supermasks: masks that make an untrained network accurate, beside random masks and none.",
    settings=LearnSupermask,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    plots=(
        Plot("arms", "The network under masks", "On the test part; weights are as they were drawn.", "arm", mark="bar"),
        Plot(
            "densities",
            "Density of the learned masks",
            "Share of each layer's weights that the thresholded masks keep.",
            "layer",
            "mean",
            y_words="Weights kept",
            table="densities",
            mark="bar",
        ),
    ),
    presets={"digits": learned_supermask_on_digits, "zhou-supermask": zhou_2019_supermask},
    help="mnist has a preset of its own. edge_popup wants a learning rate of 0.003.",
    first=("draws",),
    examples=(
        "lth supermask                                    # about a minute",
        "lth supermask lenet-300-100 mnist ./datasets     # as in the paper",
        "lth supermask --method edge_popup --lr 0.003 --density 0.3",
    ),
)
