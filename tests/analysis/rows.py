"""Results documents by hand, without a verdict."""

from typing import Any, cast

from lth.analysis.documents import Results

ARMS = {"dense": "baseline", "ticket": "subject", "sparsified": "source", "reinit": "control", "random": "control"}
METRICS = {
    "accuracy": {"better": "higher", "unit": "fraction", "words": ""},
    "loss": {"better": "lower", "unit": "nats", "words": ""},
}
Fields = dict[str, Any]


def row(arm: str, level: int, replicate: int, value: float | None, metric: str = "accuracy", **more: Any) -> Fields:
    """One row; None for a replicate that diverged."""
    return {
        "key": "",
        "arm": arm,
        "replicate": replicate,
        "at": {"level": level, "density": 0.8**level},
        "end": {f"test/{metric}": value},
        "at_best": {},
        "best_step": 100,
        "steps": 1000,
        "diverged_at": 7 if value is None else None,
        **more,
    }


def arm(name: str, level: int, values: list[float | None], metric: str = "accuracy", **more: Any) -> list[Fields]:
    """A row a replicate."""
    return [row(name, level, replicate, value, metric, **more) for replicate, value in enumerate(values)]


def results(rows: list[Fields], primary: str = "accuracy", **more: Any) -> Results:
    """A document with these rows."""
    document = {
        "format": "lth.results",
        "version": 2,
        "id": "0123456789ab",
        "study": "find-ticket",
        "created": "",
        "config": {"model": "lenet-300-100", "data": "digits"},
        "environment": {},
        "engines": {},
        "confidence": 0.95,
        "metrics": METRICS,
        "primary": primary,
        "stop_by": "loss",
        "arms": [{"name": name, "words": f"the {name}", "role": role} for name, role in ARMS.items()],
        "axis": "level",
        "plots": [],
        "constant": {},
        "rows": rows,
        "verdict": {},
        **more,
    }
    return cast(Results, document)
