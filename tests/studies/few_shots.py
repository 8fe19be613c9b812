"""Two tickets of a tiny BERT and few examples of two tasks, written here: what tests of few-shot transfer share."""

import random
from pathlib import Path
from typing import Any

from builds import HERE

import lth

MODEL = "bert:hidden_size=16,num_hidden_layers=1,num_attention_heads=2,max_position_embeddings=32"
WORDS = ["good", "bad", "great", "dull", "fine", "poor", "what", "is", "the", "film", "question", "why", "how"]
SHORT: dict[str, Any] = {"batch_size": 4, "evaluate_every": 4, "lr": 0.01}


def write_glue(folder: Path, rows: int = 40) -> Path:
    """SST-2 and QQP of random words, the answer in the first one; a vocabulary. Returns the folder."""
    draw = random.Random(0)
    tables = {"SST-2": ("sentence", "label"), "QQP": ("question1", "question2", "is_duplicate")}
    for name, columns in tables.items():
        (folder / "glue" / name).mkdir(parents=True)
        for part, count in (("train", rows), ("dev", 23)):
            lines = ["\t".join(columns)]
            for number in range(count):
                texts = [" ".join(draw.choices(WORDS, k=3)) for _ in columns[:-1]]
                texts[0] = f"{'good' if number % 2 else 'bad'} {texts[0]}"
                lines.append("\t".join([*texts, str(number % 2)]))
            (folder / "glue" / name / f"{part}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    return folder


def data(name: str, folder: Path) -> str:
    """A task with the vocabulary of that folder."""
    return f"glue/{name}:tokenizer={folder / 'vocab.txt'},length=16"


def find(folder: Path, name: str, out: str, **settings: Any) -> Path:
    """A ticket of this task, found for real in a few steps: half of the weights."""
    found = lth.find_ticket(
        MODEL, data(name, folder), folder, store=folder / "store", out=folder / out, execution=HERE, progress=False,
        **{"replicates": 1, "levels": 1, "rate": 0.5, "controls": "none", "duration": "8it", **SHORT, **settings},
    )  # fmt: skip
    return found.tickets[0]


def few_shot(folder: Path, *sources: Path, target: str = "qqp", **settings: Any) -> lth.Found:
    """Few-shot training of some tickets, in this process."""
    usual = {"replicates": 2, "shots": "4,8", "validation": 4, "duration": "6it", **SHORT}
    return lth.few_shot(
        sources, data(target, folder), folder, store=folder / "store", out=folder / "out", execution=HERE,
        progress=False, **{**usual, **settings},
    )  # fmt: skip
