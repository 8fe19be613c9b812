"""Documents of version 2 to draw: one converted from a real study, and one by hand of each other shape."""

import json
import math
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from lth.analysis.verdict import compare_with_baseline
from lth.report import StudyFiles

REAL = Path(__file__).parents[2] / "docs" / "results" / "lenet-mnist.json"
METRICS = {
    "accuracy": {"better": "higher", "unit": "fraction", "words": "share of the examples that are answered rightly"},
    "loss": {"better": "lower", "unit": "nats", "words": "cross-entropy, nats an example"},
}
LANGUAGE = {
    "loss": {"better": "lower", "unit": "nats", "words": "cross-entropy, nats a token"},
    "perplexity": {"better": "lower", "unit": "plain", "words": "exponential of the cross-entropy"},
}
REGRESSION = {
    "r2": {"better": "higher", "unit": "plain", "words": "share of the variance that is explained"},
    "mse": {"better": "lower", "unit": "plain", "words": "mean squared error"},
}
ARMS = [
    {"name": "ticket", "words": "the pruned network from its own starting weights", "role": "subject"},
    {"name": "sparsified", "words": "the training that was pruned on its way and gave the mask", "role": "source"},
    {"name": "reinit", "words": "the same mask over weights drawn anew", "role": "control"},
    {"name": "random", "words": "a random mask with the same density in every layer", "role": "control"},
    {"name": "dense", "words": "the network without pruning", "role": "baseline"},
]


def plot(name: str, title: str, words: str, x: str, **more: Any) -> dict[str, Any]:
    fields = {"y": "primary", "x_words": "", "y_words": "", "log_x": False, "colour": "arm", "panel": "", "table": ""}
    return {"name": name, "title": title, "words": words, "x": x, **fields, "mark": "line", **more}


BY_DENSITY = plot(
    "by_density", "At the end of training", "The primary metric against the weights that remain.", "density", log_x=True
)
SPEED = plot(
    "early_stopping",
    "Speed of learning",
    "The step of the best validation, at which training would be stopped; lower is faster.",
    "density",
    y="best_step",
    log_x=True,
)


def row(
    arm: str, replicate: int, at: dict[str, Any], end: dict[str, float], best_step: int | None, **more: Any
) -> dict[str, Any]:
    named = {f"test/{name}": value for name, value in end.items()}
    fields = {"key": f"{arm}-{replicate}", "arm": arm, "replicate": replicate, "at": at, "end": named, "at_best": named}
    return {**fields, "best_step": best_step, "steps": 50000, "diverged_at": None, **more}


def document(
    study: str, metrics: dict[str, Any], arms: list[dict[str, Any]], plots: list[Any], rows: list[Any], **more: Any
) -> dict[str, Any]:
    """A results document without verdict."""
    return {
        "format": "lth.results",
        "version": 2,
        "id": f"{sum(map(ord, study + str(more.get('config')))):012x}",
        "study": study,
        "created": "2025-01-01T00:00:00+00:00",
        "config": {"model": "lenet-300-100", "data": "digits", "seed": 0, "lr": 0.0012, "duration": "4000it"},
        "environment": {"lth": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "platform": "Linux x86_64"},
        "engines": {"sparse": len(rows)},
        "confidence": 0.95,
        "metrics": metrics,
        "primary": next(iter(metrics)),
        "stop_by": "loss" if "loss" in metrics else list(metrics)[-1],
        "arms": arms,
        "axis": "level",
        "plots": plots,
        "constant": {},
        "rows": rows,
        **more,
    }


def details_of(results: dict[str, Any], **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"curves": [], "layers": [], "distributions": [], "derivation": [], "tables": {}}
    return {"format": "lth.details", "version": 2, "id": results["id"], **empty, **more}


def study_of(results: dict[str, Any], verdict: dict[str, Any] | None = None, **details: Any) -> StudyFiles:
    """A study of these documents; without a verdict, with that of a comparison."""
    results["verdict"] = verdict or compare_with_baseline(results, margin=0.005)  # type: ignore[arg-type]
    return StudyFiles(results, details_of(results, **details))  # type: ignore[arg-type]


def converted(margin: float = 0.005) -> StudyFiles:
    """The real study of LeNet on MNIST."""
    old = json.loads(REAL.read_text())
    results = _converted(old) if old["version"] == 1 else old
    results["verdict"] = compare_with_baseline(results, margin=margin)
    return StudyFiles(results, details_of(results, **_details(results)))  # type: ignore[arg-type]


def _converted(old: dict[str, Any]) -> dict[str, Any]:
    rows = _rows("dense", {"level": 0, "density": 1.0}, old["dense"])
    for level in old["levels"]:
        at = {"level": level["level"], "density": level["density"]}
        for arm, measures in level["arms"].items():
            rows += _rows(arm, at, measures)
    speed = {**SPEED}
    best = plot(
        "at_best",
        "At early stopping",
        "The primary metric at the best step.",
        "density",
        y="at_best/test/accuracy",
        log_x=True,
    )
    more = {"config": old["config"], "environment": old["environment"], "engines": old["engines"], "id": old["id"]}
    constant = {"accuracy": 0.1135, "loss": 2.3010}
    return document("find-ticket", METRICS, ARMS, [BY_DENSITY, speed, best], rows, constant=constant, **more)


def _rows(arm: str, at: dict[str, Any], measures: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for replicate, accuracy in enumerate(measures["test_accuracy"]["values"]):
        step = measures["early_stop_iteration"]["values"][replicate]
        made = row(arm, replicate, at, {} if accuracy is None else {"accuracy": accuracy}, step and int(step))
        early = measures["early_stop_test_accuracy"]["values"][replicate]
        made["at_best"] = {"test/accuracy": early, "validation/loss": measures["validation_loss"]["values"][replicate]}
        made["diverged_at"] = 100 if accuracy is None else None
        found.append(made)
    return found


def _details(results: dict[str, Any]) -> dict[str, Any]:
    """Curves, layers and distributions as such a study leaves them."""
    steps, curves, layers, distributions = list(range(100, 50001, 100)), [], [], []
    names = {"hidden1.weight": 235200, "hidden2.weight": 30000, "output.weight": 1000}
    seen = {}
    for each in results["rows"]:
        if each["replicate"] == 0:
            seen[each["arm"], each["at"]["level"]] = each
    for (arm, level), each in seen.items():
        top, speed = each["end"]["test/accuracy"], 300 + 40 * level
        values = [top - 0.4 * math.exp(-step / speed) - 0.03 * math.exp(-step / (12 * speed)) for step in steps]
        losses = [2.3 * math.exp(-step / speed) + 0.06 + 4e-7 * step for step in steps]
        curves.append(
            {
                "arm": arm,
                "at": each["at"],
                "steps": steps,
                "values": {"validation/accuracy": values, "validation/loss": losses},
            }
        )
        if arm in ("ticket", "dense"):
            for name, count in names.items():
                density = (0.9 if name.startswith("output") else 0.8) ** level
                layers.append(
                    {"at": each["at"], "layer": name, "weights": count, "kept": count * density, "density": density}
                )
                distributions.append(_distribution(each["at"], name, level))
    steps_told = [{"key": "0a1b2c3d4e5f", "kind": "initial", "text": "initial weights of lenet-300-100, seed 1"}]
    return {"curves": curves, "layers": layers, "distributions": distributions, "derivation": steps_told}


def _distribution(at: dict[str, Any], name: str, level: int) -> dict[str, Any]:
    edges = [0.4 * (index / 30 - 1) for index in range(61)]
    centres = [(low + high) / 2 for low, high in pairwise(edges)]
    width = 0.05 + 0.006 * level

    def bell(x: float, mean: float, deviation: float) -> float:
        return math.exp(-((x - mean) ** 2) / 2 / deviation**2) / deviation / math.sqrt(2 * math.pi)

    end = [(bell(x, 0.008 * level, width) + bell(x, -0.008 * level, width)) / 2 for x in centres]
    return {"at": at, "layer": name, "edges": edges, "start": [bell(x, 0, 0.06) for x in centres], "end": end}


def language_model(**more: Any) -> StudyFiles:
    """A character model: nats of loss, and perplexity beside it; lower is better."""
    draw, rows, plots = Random(0), [], [BY_DENSITY, SPEED]
    plots.append(
        plot("perplexity", "Perplexity", "Perplexity on the test part.", "density", y="end/test/perplexity", log_x=True)
    )

    def add(arm: str, at: dict[str, Any], loss: float) -> None:
        for replicate in range(3):
            value = loss + 0.01 * replicate + draw.gauss(0, 0.004)
            rows.append(
                row(
                    arm,
                    replicate,
                    at,
                    {"loss": value, "perplexity": math.exp(value)},
                    3800 + 10 * replicate,
                    steps=4000,
                )
            )

    add("dense", {"level": 0, "density": 1.0}, 1.482)
    for level in range(1, 9):
        at = {"level": level, "density": 0.6**level}
        add("ticket", at, 1.47 + 0.004 * max(level - 4, 0) ** 3)
        add("reinit", at, 1.50 + 0.03 * level)
        add("random", at, 1.52 + 0.09 * level)
    config = {"model": "gpt-char:n_layer=2,n_embd=64", "data": "tiny-shakespeare", "pruned": "zero", "lr": 0.003}
    steps = list(range(200, 4001, 200))
    curves = [
        {
            "arm": each["arm"],
            "at": each["at"],
            "steps": steps,
            "values": {"validation/loss": [each["end"]["test/loss"] + 2.0 * math.exp(-step / 500) for step in steps]},
        }
        for each in rows
        if each["replicate"] == 0
    ]
    arms = [arm for arm in ARMS if arm["name"] != "sparsified"]
    constant = {"loss": 3.31, "perplexity": math.exp(3.31)}
    made = document("find-ticket", LANGUAGE, arms, plots, rows, config=config, constant=constant, **more)
    return study_of(made, compare_with_baseline(made, margin=0.02), curves=curves)  # type: ignore[arg-type]


def regression() -> StudyFiles:
    """Explained variance and squared error of a small network; nothing beats the mean by much."""
    draw, rows = Random(1), []
    for level in range(5):
        at = {"level": level, "density": 0.5**level}
        for arm in ("ticket", "random") if level else ("dense",):
            for replicate in range(4):
                value = 0.47 - 0.02 * level * (arm == "random") + draw.gauss(0, 0.01)
                rows.append(row(arm, replicate, at, {"r2": value, "mse": 5900 * (1 - value)}, 300 + 20 * level))
    arms = [arm for arm in ARMS if arm["name"] in ("ticket", "random", "dense")]
    squares = plot("mse", "Squared error", "Mean squared error on the test part.", "density", y="end/mse", log_x=True)
    config = {"model": "mlp:widths=32", "data": "diabetes"}
    made = document(
        "find-ticket",
        REGRESSION,
        arms,
        [BY_DENSITY, squares],
        rows,
        constant={"r2": -0.01, "mse": 5960.0},
        config=config,
    )
    return study_of(made, compare_with_baseline(made, margin=0.02))  # type: ignore[arg-type]


def connect() -> StudyFiles:
    """Loss and errors between two networks, a colour a density and a panel a rewind step; no baseline."""
    draw, rows = Random(2), []
    for rewind in (0, 100, 2000):
        for density in (1.0, 0.41, 0.107, 0.035):
            for replicate in range(3):
                for share in (index / 10 for index in range(11)):
                    barrier = max(0.0, 0.5 - 0.1 * math.log10(rewind + 1)) * density**0.3
                    height = 4 * share * (1 - share)
                    error = min(0.02 + barrier * height + draw.random() * 0.004, 1.0)
                    at = {"rewind": rewind, "density": density, "share": share}
                    rows.append(row("path", replicate, at, {"error": error, "loss": 0.1 + 4 * error}, None, steps=0))
    metrics = {
        "error": {"better": "lower", "unit": "fraction", "words": "share of wrong answers"},
        "loss": METRICS["loss"],
    }
    arms = [{"name": "path", "words": "the network on the straight line between two", "role": "subject"}]
    plots = [
        plot(
            "error",
            "Error on the path",
            "Test error between the two networks.",
            "share",
            colour="density",
            panel="rewind",
        ),
        plot(
            "loss",
            "Loss on the path",
            "Test loss between the two networks.",
            "share",
            y="end/loss",
            colour="density",
            panel="rewind",
        ),
    ]
    verdict = {
        "found": True,
        "confirmed": True,
        "summary": "stable from step 2000",
        "title": "Linear connectivity of lenet-300-100 on digits: stable from step 2,000",
        "sentences": ["Two networks that share their first 2,000 steps end in one basin: barrier 0.1 points."],
        "tiles": [{"label": "Barrier", "value": "0.1 points", "note": "at 10.7 % of the weights, 3 pairs"}],
        "at": {"rewind": 2000, "density": 0.107},
    }
    return study_of(document("connect", metrics, arms, plots, rows, axis="share"), verdict)


def stability() -> StudyFiles:
    """Overlap of masks per layer beside chance, from a table."""
    draw, rows, table = Random(3), [], []
    for density in (0.512, 0.107):
        for pair in range(3):
            rows.append(row("overlap", pair, {"density": density}, {"overlap": density + 0.2}, None, steps=0))
            for layer in ("transformer.h.0.attn.c_attn", "transformer.h.0.mlp.c_fc", "lm_head"):
                for kind, more in (("two tickets", 0.2), ("chance", 0.0)):
                    table.append(
                        {
                            "layer": layer,
                            "masks": kind,
                            "density": density,
                            "replicate": pair,
                            "overlap": density + more + draw.gauss(0, 0.02) * (more > 0),
                        }
                    )
    metrics = {"overlap": {"better": "higher", "unit": "fraction", "words": "intersection over union of two masks"}}
    arms = [{"name": "overlap", "words": "masks of two tickets", "role": "subject"}]
    plots = [
        plot(
            "layers",
            "Overlap per layer",
            "Overlap of two tickets' masks beside that of random ones.",
            "layer",
            y="overlap",
            colour="masks",
            panel="density",
            table="layers",
            mark="bar",
        ),
        plot("overlap", "Overlap", "Overlap of all masks.", "density", log_x=True),
    ]
    verdict = {
        "found": True,
        "confirmed": None,
        "summary": "above chance",
        "title": "Masks of two tickets overlap more than by chance",
        "sentences": ["At 10.7 % of the weights two tickets share 30.7 % of their weights, against 10.7 % by chance."],
        "tiles": [],
        "at": {"density": 0.107},
    }
    made = document("stability", metrics, arms, plots, rows, axis="density", stop_by="overlap")
    return study_of(made, verdict, tables={"layers": table})


def supermask() -> StudyFiles:
    """Bars: arms without an axis."""
    draw, rows = Random(4), []
    levels = {"dense": 0.97, "supermask": 0.94, "signed constant": 0.91, "untrained": 0.10, "random mask": 0.11}
    for arm, accuracy in levels.items():
        for replicate in range(5):
            value = min(accuracy + draw.gauss(0, 0.006), 1.0)
            rows.append(row(arm, replicate, {}, {"accuracy": value, "loss": 2.4 * (1 - value)}, None))
    roles = {"dense": "baseline", "supermask": "subject", "signed constant": "subject"}
    arms = [{"name": arm, "words": f"what {arm} is", "role": roles.get(arm, "control")} for arm in levels]
    plots = [plot("arms", "Masks without training", "Test accuracy of each arm.", "arm", mark="bar")]
    verdict = {
        "found": True,
        "confirmed": True,
        "summary": "94.0 %",
        "title": "A supermask of lenet-300-100 on digits: 94 % without training a weight",
        "sentences": ["A mask over untrained weights reaches 94 %, a random mask of the same density 11 %."],
        "tiles": [],
        "at": {},
    }
    return study_of(document("supermask", METRICS, arms, plots, rows, axis="", constant={"accuracy": 0.1}), verdict)


def other_seed(study: StudyFiles) -> StudyFiles:
    """A copy with another id and seed."""
    other = deepcopy(study)
    other.results["id"] = other.details["id"] = "0" * 12
    other.results["config"]["seed"] = "another"
    return other


def with_rows(study: StudyFiles, keeps: Callable[[Any], bool]) -> StudyFiles:
    """The study with those rows alone, concluded anew."""
    study.results["rows"] = [row for row in study.results["rows"] if keeps(row)]
    study.results["verdict"] = compare_with_baseline(study.results, margin=0.0)
    return study


SHAPES = {
    "find-ticket": converted,
    "language-model": language_model,
    "regression": regression,
    "connect": connect,
    "stability": stability,
    "supermask": supermask,
}
