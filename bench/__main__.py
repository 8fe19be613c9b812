"""`python -m bench [GROUP ...]`: measures, prints one table, writes bench-results/bench.json and the figure."""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cases import load
from bench.cluster import cluster_rows
from bench.compact import compact_rows
from bench.convolutions import convolution_rows
from bench.figure import write_figure
from bench.gpt import gpt_rows
from bench.gpu import gpu_rows
from bench.lenet import lenet_rows
from bench.limit import limit_rows
from bench.machine import machine
from bench.masks import mask_rows
from bench.memory import memory_rows
from bench.networks import network_rows
from bench.ratio import QUICK, Effort, Row, heading
from bench.selection import selection_rows
from bench.study import study_rows
from bench.vocabulary import vocabulary_rows
from bench.workers import worker_rows

GROUPS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "lenet": lenet_rows,
    "study": study_rows,
    "workers": worker_rows,
    "networks": network_rows,
    "gpt": gpt_rows,
    "vocabulary": vocabulary_rows,
    "masks": mask_rows,
    "limit": limit_rows,
    "memory": memory_rows,
    "selection": selection_rows,
    "compact": compact_rows,
    "convolutions": convolution_rows,
    "cluster": cluster_rows,
    "gpu": gpu_rows,
}


def main() -> None:
    """Prints each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="run everything small, to see whether it works")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder of bench.json and the figure")
    parser.add_argument("--random-masks", action="store_true", help="draw LeNet's masks instead of training for them")
    options = parser.parse_args()
    if unknown := [name for name in options.groups if name not in GROUPS]:
        parser.error(f"unknown group {unknown[0]!r}. Choices: {', '.join(GROUPS)}")
    effort = QUICK if options.quick else Effort()
    if options.random_masks:
        effort = replace(effort, mask_steps=0)
    document: dict[str, Any] = {}
    try:
        measure(options.groups or list(GROUPS), effort, document)
    except ChildProcessError as error:
        write(document, options.out)
        parser.exit(1, f"{error}\n")
    write(document, options.out)


def measure(groups: list[str], effort: Effort, document: dict[str, Any]) -> None:
    """Measures these groups, and fills the document of bench.json row by row."""
    began = time.monotonic()
    masks = f"by magnitude after {effort.mask_steps:,} steps a level" if effort.mask_steps else "random"
    found = machine() | {"data": load(effort).name, "masks": masks}
    print(f"{found['cpu']} ({found['vectors']}), {found['cores']} cores; torch {found['torch']}; data: {found['data']}")
    print(f"LeNet's masks: {masks}. Each step has 60 examples.")
    print("Ratios above 1: ours is better. One thread and the processor's time, unless a row says otherwise.")
    print("Goals are for a machine with AVX-512.\n")
    print(heading())
    document |= {"environment": found, "rows": []}
    for name in groups:
        for row in GROUPS[name](effort):
            print(row.line(), flush=True)
            document["rows"].append({"group": name} | row.document())
            found |= {"load": os.getloadavg(), "seconds": round(time.monotonic() - began)}


def write(document: dict[str, Any], folder: Path) -> None:
    """bench.json, and where densities were measured the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten to {folder / 'bench.json'}", *write_figure(document, folder), sep=", ")


if __name__ == "__main__":
    main()
