"""Training alone: the dense networks that a search for tickets begins with, so that it finds them in the store."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lth.analysis.documents import Results, Verdict
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import StudySettings
from lth.config.text import Names
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (Arm("dense", "the dense network", "baseline"),)

NANOGPT: dict[str, Any] = {
    "optimizer": "adamw",
    "optimizer_options": "betas=0.9:0.95",
    "weight_decay": 0.1,
    "no_decay": "vectors",
    "clip": 1.0,
    "lr_decay": "cosine",
    "replicates": 1,
}
"""What the presets of GPT-2 share: A. Karpathy, nanoGPT, train.py."""


class Train(StudySettings):
    """All that determines the training."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    measures: Names = Field(
        default=(),
        description="what is measured at evaluations, as super_weights (the strongest spike of a transformer): curves, "
        "also in curves.csv",
    )


def derive(settings: Train, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the training of one replicate."""
    trained = subject.train(subject.initial(seeds), None, seeds, measures=settings.measures)
    yield Point(trained, "dense", replicate, {})


def resolve(settings: Train, subject: "Subject") -> Train:
    """Return the settings, checked."""
    from lth.studies.measured import check_measures

    check_measures(settings.measures, subject)
    return settings


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say what the networks reach."""
    from lth.analysis.facts import data_in_words
    from lth.analysis.statistics import interval

    config, confidence, sentences = results["config"], results["confidence"], []
    for name in sorted(results["metrics"], key=lambda each: each != results["primary"]):  # the task's first one first
        metric = results["metrics"][name]
        values = [row["end"].get(f"test/{name}") for row in results["rows"]]
        found = interval(values, confidence)
        if found["mean"] is not None:
            ends = "" if found["low"] is None else f" [{found['low']:.4g}, {found['high']:.4g}]"
            words = name.replace("_", " ")
            sentences.append(f"{words} {found['mean']:.4g}{ends} ({metric['words']}).")
    title = f"{config['model']} on {data_in_words(config)}"
    verdict: Verdict = {
        "found": False,
        "confirmed": False,
        "summary": "trained",
        "title": title,
        "sentences": sentences,
        "tiles": [],
        "at": {},
    }
    from lth.studies.measured import spike_rows

    spikes = list(spike_rows(reader, points, confidence))
    return Conclusion(verdict, {"spikes": spikes} if spikes else {})


def shakespeare_char_cpu() -> Train:
    """Return nanoGPT's character model for a CPU: 4 blocks, 128 wide, 2,000 steps of 12 windows of 64.

    Source: A. Karpathy, nanoGPT, README, "I only have a macbook".
    """
    return Train(
        **NANOGPT
        | {"optimizer_options": "betas=0.9:0.99", "model": "gpt-char", "data": "tiny-shakespeare", "replicates": 3},
        lr=1e-3, final_lr=1e-4, warmup="100it", batch_size=12, duration="2000it", evaluate_every=250,
    )  # fmt: skip


def shakespeare_char() -> Train:
    """Return nanoGPT's character model for a GPU: 6 blocks, 384 wide, context 256, dropout 0.2, 5,000 steps.

    Source: A. Karpathy, nanoGPT, config/train_shakespeare_char.py.
    """
    return Train(
        **NANOGPT | {"optimizer_options": "betas=0.9:0.99"},
        model="gpt-char:n_layer=6,n_head=6,n_embd=384,dropout=0.2", data="tiny-shakespeare:block=256",
        lr=1e-3, final_lr=1e-4, warmup="100it", batch_size=64, duration="5000it", evaluate_every=250,
    )  # fmt: skip


def shakespeare_bpe() -> Train:
    """Return the character model for a CPU on GPT-2's tokens: a folder made by `lth data prepare --tokens gpt2`."""
    return shakespeare_char_cpu().with_(model="gpt-char:pad_to=64", data="shakespeare-bpe")


def nanogpt_124m() -> Train:
    """Return GPT-2 of 124M on OpenWebText as nanoGPT trains it: 600,000 steps of 491,520 tokens.

    Source: A. Karpathy, nanoGPT, config/train_gpt2.py.
    """
    return Train(
        **NANOGPT, model="gpt2:bias=false", data="openwebtext:block=1024", batch_tokens=491_520, precision="bfloat16",
        lr=6e-4, final_lr=6e-5, warmup="2000it", duration="600000it", evaluate_every=1000,
    )  # fmt: skip


def nanogpt_124m_large_batch() -> Train:
    """Return the same with 983,040 tokens a step, for 16 GPUs."""
    return nanogpt_124m().with_(batch_tokens=983_040)


def llmc_124m() -> Train:
    """Return GPT-2 of 124M on 10B tokens of FineWeb: 18,865 steps of 524,288 tokens, to a validation loss of 3.28.

    Source: A. Karpathy, llm.c, discussion 481.
    """
    return Train(
        **NANOGPT, model="gpt2", data="fineweb:block=1024", batch_tokens=524_288, precision="bfloat16",
        lr=6e-4, final_lr=0.0, warmup="700it", duration="18865it", evaluate_every=250,
    )  # fmt: skip


TRAIN = StudyType(
    name="train",
    words="Train dense networks: what a search for tickets begins with, and finds again in the store.",
    settings=Train,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    plots=(
        Plot("quality", "At the end of training", "Each replicate, with the interval over them.", "arm"),
        Plot(
            "births",
            "Is a super weight being born?",
            "Spikes of the MLPs' down-projections during training, on a few validation windows.",
            "step",
            "mean",
            x_words="Step",
            y_words="Mean over replicates",
            panel="curve",
            table="spikes",
        ),
    ),
    presets={
        "digits": lambda: Train(),
        "shakespeare-char-cpu": shakespeare_char_cpu,
        "shakespeare-char": shakespeare_char,
        "shakespeare-bpe": shakespeare_bpe,
        "nanogpt-124m": nanogpt_124m,
        "nanogpt-124m-large-batch": nanogpt_124m_large_batch,
        "llmc-124m": llmc_124m,
    },
    help="Several processes train one network together where `torchrun` or `srun` starts them: torchrun "
    "--nproc-per-node 8 -m lth train --preset nanogpt-124m --device cuda.",
    first=("lr", "batch_size"),
    examples=(
        "lth train                                         # LeNet on digits, seconds",
        "lth train --preset shakespeare-char-cpu           # GPT of 4 blocks, minutes a replicate",
    ),
)
