"""Studies side by side: nearest levels, paired differences, and which pairs differ in one thing."""

from typing import Any

import pytest

from lth.analysis.contrasts import contrasts, question_of, sides

ROLES = (("dense", "baseline"), ("ticket", "subject"))
CONFIG: dict[str, Any] = {"model": "gpt2", "schedule": "iterative", "rate": 0.2, "scope": "global", "levels": 3}


def study(values: dict[float, list[float]], watched: dict[float, list[float]] | None = None, **config: Any) -> Any:
    rows = [
        {
            "key": f"{density}-{replicate}", "arm": "dense" if density == 1 else "ticket", "replicate": replicate,
            "at": {"density": density}, "end": {"test/loss": value}, "at_best": {}, "best_step": None, "steps": 1,
            "diverged_at": None,
        }
        for density, each in values.items()
        for replicate, value in enumerate(each)
    ]  # fmt: skip
    results = {
        "rows": rows, "confidence": 0.95, "primary": "loss", "config": CONFIG | config,
        "metrics": {"loss": {"better": "lower", "unit": "nats", "words": ""}},
        "arms": [{"name": name, "role": role, "words": ""} for name, role in ROLES],
    }  # fmt: skip
    table = [
        {"new_density": density, "replicate": replicate, "is_kept": share > 0.5, "of_matrix": share}
        for density, each in (watched or {}).items()
        for replicate, share in enumerate(each)
    ]
    return results, {"tables": {"watched": table}}


def test_a_study_at_its_own_levels() -> None:
    results, details = study({1.0: [2.0, 2.2], 0.81: [2.1, 2.2], 0.53: [2.2, 2.6], 0.2: [3.0, 3.0]}, {0.53: [0.4, 0.6]})
    found = sides(results, details)
    assert list(found) == [0.8, 0.5]  # 0.2 is near to none of them
    assert found[0.8].density == 0.81
    assert found[0.5].difference["values"] == pytest.approx([0.2, 0.4])
    assert found[0.5].deviation == pytest.approx(0.4 / 2**0.5)
    assert found[0.8].kept is None
    assert found[0.5].kept["values"] == [0.0, 100.0]  # type: ignore[index]
    assert found[0.5].matrix["mean"] == pytest.approx(50.0)  # type: ignore[index]


def test_pairs_that_differ_in_one_thing() -> None:
    first = ("b", *study({1.0: [2.0, 2.0], 0.8: [2.1, 2.3]}, {0.8: [0.5, 0.5]}))
    other = ("c", *study({1.0: [1.0, 1.0], 0.8: [2.0, 2.1]}, {0.8: [0.8, 0.7]}, model="gpt2:init=xavier"))
    both = ("x", *study({1.0: [1.0, 1.0], 0.8: [2.0, 2.1]}, model="gpt2:init=xavier", scope="layerwise"))
    [found, scope] = contrasts([first, other, both])
    assert (found.question, found.names) == ("Initialisation", ("b", "c"))
    assert found.difference["values"] == pytest.approx([-0.1, -0.2])
    assert found.matrix["values"] == pytest.approx([30.0, 20.0])  # type: ignore[index]
    assert (scope.question, scope.names, scope.matrix) == ("Global or layerwise", ("c", "x"), None)


@pytest.mark.parametrize(
    ("changes", "question"),
    [
        ({}, None),
        ({"schedule": "one-shot"}, "One-shot or iterative"),
        ({"schedule": "one-shot", "rate": 0.1}, None),
        ({"schedule": "increasing", "rate": 0.05}, "Schedule of rates"),
        ({"rate": 0.1, "levels": 6}, "Rate of a round"),
        ({"duration": "3it", "watch": ["a:0,0"]}, "Budget: steps of a training"),
        ({"lr_decay": "cosine", "warmup": "5%"}, "Learning-rate schedule"),
        ({"protect": ["a:0,0"]}, "Protecting a weight"),
        ({"seed": 1}, None),
    ],
)
def test_questions(changes: dict[str, Any], question: str | None) -> None:
    assert question_of(CONFIG, CONFIG | changes) == question
