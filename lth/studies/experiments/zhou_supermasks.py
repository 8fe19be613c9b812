"""Supermasks of Zhou et al. 2019, arXiv:1905.01067, Section 5: learned ones, and the best that a criterion gives."""

from typing import Any

from lth.studies.experiments.experiment import Experiment, Published
from lth.studies.experiments.frankle_carbin import CIFAR_ROWS, CONVS, MNIST_ROWS
from lth.studies.experiments.measures import at, highest_at_start, mean
from lth.studies.experiments.scaled import length
from lth.studies.experiments.zhou import PAPER, STEPS

LEARNED = "Section 5, Table 1"
HEURISTIC = "abstract and Section 5"


def _learn(scale: float, model: str, data: str, epoch: int, **more: Any) -> Any:
    """Return settings of learned masks: 2,000 epochs of SGD at 100 in batches of 250, momentum 0.9."""
    from lth.studies.supermask import LearnSupermask

    return LearnSupermask(
        model=model,
        data=data,
        replicates=5,
        draws=10,
        optimizer="sgd",
        optimizer_options={"momentum": 0.9},
        lr=100.0,
        batch_size=250,
        validation=5000,
        **length(2_000 * epoch, scale, evaluate_every=5 * epoch),
        **more,
    )


def _learned(model: str, data: str, epoch: int, value: float, spread: float, bands: str, **more: Any) -> Experiment:
    """Return the experiment of learned masks.

    Args:
        model: entry of MODELS.
        data: entry of DATASETS.
        epoch: steps of one.
        value: what the paper has, in percent.
        spread: half the width of the band.
        bands: how it was chosen.
        **more: further settings.
    """
    known = data == "mnist"
    return Experiment(
        words=f"Learned masks over an untrained {model}{' with rescaling' if more else ''}, {data}",
        source=PAPER,
        study="supermask",
        settings=lambda scale: _learn(scale, model, data, epoch, **more),
        rows=(
            Published(
                "test accuracy of sampled masks, mean of ten draws (%)",
                mean(at("sampled")),
                value,
                (round(value - spread, 1), round(value + spread, 1)),
                LEARNED,
                digits=1,
            ),
        ),
        may_lack_data=not known,
        data_rows=MNIST_ROWS if known else CIFAR_ROWS,
        bands=bands,
        chosen="Five replicates."
        if known
        else "Settings of training, which are known of MNIST alone; weights that are "
        "constants with the initial signs; five replicates.",
        figures=("arms",),
        figure_words="Table 1, as bars beside random masks and none",
        steps=5 * 2_000 * epoch,
    )


def _heuristic(model: str, data: str, rates: dict[str, float], steps: int, value: float) -> Experiment:
    """Return the experiment of masks that a criterion gives at once, over constants with the initial signs.

    Args:
        model: entry of MODELS.
        data: entry of DATASETS.
        rates: of the remaining weights, by pattern.
        steps: of a training.
        value: what the paper has, in percent.
    """

    def settings(scale: float) -> Any:
        from lth.studies.find_ticket_settings import FindTicket

        return FindTicket(
            model=model,
            data=data,
            levels=24,
            rates=rates,
            controls=(),
            replicates=5,
            criterion="large_final_same_sign",
            schedule="one-shot",
            kept="signed_constant",
            validation=5000,
            lr=next((conv.lr for conv in CONVS if conv.name.lower() == model), 1.2e-3),
            **length(steps, scale),
        )

    known = data == "mnist"
    return Experiment(
        words=f"Masks by large_final_same_sign over an untrained {model} of signed constants, {data}",
        source=PAPER,
        study="find-ticket",
        settings=settings,
        rows=(
            Published(
                "validation accuracy before any training, at the best density (%)",
                highest_at_start("ticket", "validation/accuracy"),
                value,
                (value - 10, value + 10),
                HEURISTIC if known else f"{HEURISTIC}; the best of its three networks",
                digits=1,
            ),
        ),
        may_lack_data=not known,
        data_rows=MNIST_ROWS if known else CIFAR_ROWS,
        bands="Chosen here: ten points either way; random masks stay near 10 %.",
        chosen="Measured on the validation part, which chooses the density; five replicates.",
        figures=("quality",),
        figure_words="the same masks, trained; their accuracy before training is that of the curves' first points",
        steps=5 * 25 * steps,
    )


NEARER = "Chosen here: as far as the paper's trained network lies from its masks."
MASKED = {"conv-2": (66.0, 69.2), "conv-4": (72.5, 75.4), "conv-6": (76.5, 78.3)}
"""Learned and rescaled masks, and the trained network, in percent."""

SUPERMASKS: dict[str, Experiment] = {
    "zhou-supermasks-fc": _learned("lenet-300-100", "mnist", 220, 95.3, 2.0, "Chosen here: two points either way."),
    **{
        f"zhou-supermasks-{model.replace('-', '')}": _learned(
            model, "cifar-10", 180, value, round(trained - value, 1), NEARER, rescale=True, weights="signed_constant"
        )
        for model, (value, trained) in MASKED.items()
    },
    "zhou-supermasks-heuristic-fc": _heuristic("lenet-300-100", "mnist", {"output.weight": 0.1}, STEPS, 86.0),
    **{
        f"zhou-supermasks-heuristic-{conv.name.lower().replace('-', '')}": _heuristic(
            conv.name.lower(),
            "cifar-10",
            {"convolutions.*": conv.conv_rate, "output.weight": 0.1},
            conv.steps,
            41.0,
        )
        for conv in CONVS
    },
}
