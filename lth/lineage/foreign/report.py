"""The sparsity of a file, as JSON values: per tensor and overall, and beside an earlier file."""

import re
from collections.abc import Sequence
from typing import Any

from lth.lineage.foreign.files import Entry, WeightsFile
from lth.sparsity.metrics import Overlap, dead_inputs, dead_outputs, overlap, pooled, ranks
from lth.sparsity.patterns import matching

FORMAT = "lth.sparsity/1"

TYPES = {
    "bias": re.compile(r"(^|[._])bias$"),
    "norm": re.compile(r"(^|[._])(ln|norm|layernorm|bn|batchnorm)[_\d]*[a-z]?([._]|$)|norm\d*[._]|ln_f"),
    "embedding": re.compile(r"embed|(^|[._])(wte|wpe)([._]|$)"),
    "attention": re.compile(r"att|quer|(^|[._])(q|k|v|o|qkv)(_proj)?([._]|$)"),
    "mlp": re.compile(
        r"mlp|ffn|feed_?forward|c_fc|intermediate|layer\.\d+\.output\.|(^|[._])(fc|up_proj|down_proj|gate_proj)\d*([._]|$)"
    ),
}
"""Types of parameters by their names, in lower case; the first that fits."""


def sparsity_document(
    file: WeightsFile,
    *,
    only: Sequence[str] = (),
    never: Sequence[str] = (),
    rank_limit: int = 512,
    earlier: WeightsFile | None = None,
) -> dict[str, Any]:
    """Describe what a file keeps: per tensor and overall. One tensor at a time is in memory.

    Args:
        file: a ticket, checkpoint or model folder.
        only: name patterns of the tensors to count; by default all that `WeightsFile.left_out` does not leave out.
        never: name patterns of tensors that are not counted.
        rank_limit: ranks are computed where the shorter side of the (output, input * kernel) matrix is at most this.
        earlier: a file of the same architecture, to compare with.
    Returns:
        format, file, kind, has_masks, tensors (by name), types (as overall), overall, collapsed (names), left_out
        (reason by name), no_ranks (reason by name), note; with `earlier` also compared (file, kind, has_masks, missing:
        names).
    Raises:
        ValueError: if nothing is left to count, a pattern matches nothing, or the two files do not fit each other.
    """
    names = _counted(file, only, never, earlier)
    tensors: dict[str, dict[str, Any]] = {}
    no_ranks: dict[str, str] = {}
    overlaps: list[Overlap] = []
    for name in names:
        entry = file.read(name)
        tensors[name] = _describe(entry, file.shapes[name])
        ranked = _ranks(entry, rank_limit)
        if isinstance(ranked, str):
            no_ranks[name] = ranked
        else:
            tensors[name] |= ranked
        if earlier is not None and name in earlier.shapes:
            overlaps.append(overlap({name: earlier.read(name).mask}, {name: entry.mask}))
            tensors[name]["compared"] = _compared(overlaps[-1])
    reasons = {} if only else file.left_out()
    document: dict[str, Any] = {
        "format": FORMAT,
        "file": str(file.path),
        "kind": file.kind,
        "has_masks": file.has_masks,
        "tensors": tensors,
        "types": _by_type(tensors),
        "overall": _overall(list(tensors.values())),
        "collapsed": [name for name, each in tensors.items() if each["dead_outputs"] is not None and not each["kept"]],
        "left_out": {name: reasons.get(name, "not chosen") for name in file.shapes if name not in tensors},
        "input_first": sorted(file.input_first & tensors.keys()),
        "rank_limit": rank_limit,
        "no_ranks": no_ranks,
        "note": file.note,
    }
    if earlier is not None:
        document["overall"]["compared"] = _compared(pooled(overlaps))
        document["compared"] = {
            "file": str(earlier.path),
            "kind": earlier.kind,
            "has_masks": earlier.has_masks,
            "missing": [name for name in names if name not in earlier.shapes],
        }
    return document


def _counted(file: WeightsFile, only: Sequence[str], never: Sequence[str], earlier: WeightsFile | None) -> list[str]:
    """Return the names of the tensors to count.

    Raises:
        ValueError: if there are none, or the earlier file has none of them.
    """
    left_out = file.left_out()
    names = matching(file.shapes, only) if only else [name for name in file.shapes if name not in left_out]
    dropped = set(matching(file.shapes, never)) if never else set()
    names = [name for name in names if name not in dropped]
    if not names:
        raise ValueError(
            f"{file.path} holds no weights to count. Its tensors: {', '.join(file.shapes) or 'none'}. Choose some by "
            "pattern (--only)"
        )
    if earlier is not None and not any(name in earlier.shapes for name in names):
        raise ValueError(
            f"{earlier.path} holds none of the tensors counted in {file.path} ({', '.join(names[:4])}, ...): compare "
            "files of one architecture"
        )
    return names


def _describe(entry: Entry, stored: tuple[int, ...]) -> dict[str, Any]:
    mask = entry.mask
    weights, kept = mask.numel(), int(mask.sum())
    is_matrix = mask.ndim >= 2 and weights > 0
    return {
        "shape": list(mask.shape),
        "stored_shape": list(stored),
        "weights": weights,
        "kept": kept,
        "density": kept / weights if weights else 1.0,
        "dead_outputs": int(dead_outputs(mask).sum()) if is_matrix else None,
        "dead_inputs": int(dead_inputs(mask).sum()) if is_matrix else None,
        "effective_rank": None,
        "stable_rank": None,
    }


def _ranks(entry: Entry, limit: int) -> dict[str, float] | str:
    """Return both ranks, or why there are none."""
    weights = entry.weights
    if weights is None:
        return "no weights"
    if weights.ndim < 2 or not weights.is_floating_point():
        return "no matrix of floats"
    if min(weights.shape[0], weights[0].numel() if len(weights) else 0) > limit:
        return "over the limit"
    try:
        ranked = ranks(weights)
    except ValueError:
        return "NaN or infinity"
    return {"effective_rank": ranked.effective, "stable_rank": ranked.stable}


def type_of(name: str) -> str:
    """Return the type of a parameter, told by its name: attention, mlp, embedding, norm, bias, or other."""
    return next((kind for kind, pattern in TYPES.items() if pattern.search(name.lower())), "other")


def _by_type(tensors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the counts of each type of parameter that is there."""
    kinds = dict.fromkeys(map(type_of, tensors))
    return {kind: _overall([each for name, each in tensors.items() if type_of(name) == kind]) for kind in kinds}


def _overall(tensors: Sequence[dict[str, Any]]) -> dict[str, Any]:
    weights, kept = sum(each["weights"] for each in tensors), sum(each["kept"] for each in tensors)
    return {
        "tensors": len(tensors),
        "weights": weights,
        "kept": kept,
        "density": kept / weights if weights else 1.0,
        "dead_outputs": sum(each["dead_outputs"] or 0 for each in tensors),
        "dead_inputs": sum(each["dead_inputs"] or 0 for each in tensors),
    }


def _compared(overlap: Overlap) -> dict[str, float]:
    return {
        "earlier_density": overlap.earlier / overlap.num_weights if overlap.num_weights else 1.0,
        "iou": overlap.iou,
        "chance_iou": overlap.chance_iou,
        "survival": overlap.survival,
        "chance_survival": overlap.chance_survival,
        "revival": overlap.revival,
        "chance_revival": overlap.chance_revival,
    }
