"""The derivation of a study, written before it is built: every node by key, and which of them is measured where."""

import json
from typing import Any

from lth.analysis.notes import DERIVATION, DERIVATION_FORMAT
from lth.lineage import Job, MasksNode, Node, Store, derivation, write_file
from lth.studies.prepare import Study


def write_derivation(prepared: Study, store: Store) -> None:
    """Write a study's derivation beside its note, unless it is there: values too, which the store holds nowhere else.

    A node has its document, its key, its words, the role that it plays (job, masks, value) and, of a job, its steps.
    """
    path = store.study_folder(prepared.id) / DERIVATION
    if path.exists():
        return
    document = {
        "format": DERIVATION_FORMAT,
        "id": prepared.id,
        "points": [
            {"key": point.job.key, "arm": point.arm, "replicate": point.replicate, "at": dict(point.at)}
            for point in prepared.points
        ],
        "nodes": [_described(node) for node in derivation(*prepared.targets).values()],
    }
    write_file(path, (json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n").encode())


def _described(node: Node) -> dict[str, Any]:
    role = "job" if isinstance(node, Job) else "masks" if isinstance(node, MasksNode) and node.stored else "value"
    steps = {"steps": node.steps} if isinstance(node, Job) else {}
    return node.document | {"key": node.key, "words": node.words(), "role": role} | steps
