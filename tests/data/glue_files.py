"""Small files of GLUE's tasks, in the columns of the published ones."""

from collections.abc import Mapping
from pathlib import Path

HEADERS = {
    "sst2": "sentence\tlabel",
    "mrpc": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "stsb": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
    "qqp": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "qnli": "index\tquestion\tsentence\tlabel",
    "rte": "index\tsentence1\tsentence2\tlabel",
    "wnli": "index\tsentence1\tsentence2\tlabel",
    "mnli": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
    "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
}
LINES = {
    "cola": "gj04\t{label}\t\t{first}",
    "sst2": "{first}\t{label}",
    "mrpc": "{label}\t1\t2\t{first}\t{second}",
    "stsb": "0\tnews\tf\t2012\t1\tnone\tnone\t{first}\t{second}\t{label}",
    "qqp": "1\t2\t3\t{first}\t{second}\t{label}",
    "qnli": "0\t{first}\t{second}\t{label}",
    "rte": "0\t{first}\t{second}\t{label}",
    "wnli": "0\t{first}\t{second}\t{label}",
    "mnli": "0\t1\t2\tfiction\t(a)\t(b)\t(a)\t(b)\t{first}\t{second}\tneutral\t{label}",
}
FOLDERS = {"cola": "CoLA", "sst2": "SST-2", "mrpc": "MRPC", "stsb": "STS-B", "qqp": "QQP", "mnli": "MNLI",
           "qnli": "QNLI", "rte": "RTE", "wnli": "WNLI"}  # fmt: skip
ENTAILED = ("entailment", "not_entailment")
LABELS: Mapping[str, tuple[str, ...]] = {
    "qnli": ENTAILED,
    "rte": ENTAILED,
    "mnli": ("entailment", "neutral", "contradiction"),
    "stsb": ("0.0", "2.5", "5.000"),
}
FIRST, SECOND = 'say "no', "it's \x0bodd\u2028 and 'one line'"
"""Quotes that do not close, and characters that end a line elsewhere."""


def lines_of(name: str, rows: int) -> list[str]:
    """Labels in turn."""
    labels = LABELS.get(name, ("0", "1"))
    return [
        LINES[name].format(label=labels[row % len(labels)], first=f"{row} {FIRST}", second=SECOND)
        for row in range(rows)
    ]


def write_glue(folder: Path, name: str, end: str = "\n", rows: int = 6) -> Path:
    """Write train and dev of a task, and return where."""
    place = folder / "glue" / FOLDERS[name]
    place.mkdir(parents=True, exist_ok=True)
    header = [HEADERS[name]] if name in HEADERS else []
    files = {"train.tsv": rows, "dev.tsv": 3}
    if name == "mnli":
        files = {"train.tsv": rows, "dev_matched.tsv": 3, "dev_mismatched.tsv": 4}
    for file, number in files.items():
        (place / file).write_bytes("".join(line + end for line in [*header, *lines_of(name, number)]).encode())
    return place
