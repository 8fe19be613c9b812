"""Sweeps: one block that makes several studies."""

import pytest

from lth.config import expand_sweep


def test_sweeps_multiply() -> None:
    settings = {"levels": 2, "sweep": {"grid": {"rate": [0.1, 0.2]}, "zip": {"lr": [1, 2], "batch_size": [10, 20]}}}
    expanded = expand_sweep(settings)
    assert len(expanded) == 4
    assert expanded[1] == {"levels": 2, "rate": 0.1, "lr": 2, "batch_size": 20}
    assert [each["seed"] for each in expand_sweep({"sweep": {"seeds": [4, 7]}})] == [4, 7]
    assert [each["seed"] for each in expand_sweep({"sweep": {"seeds": 2}})] == [0, 1]
    assert expand_sweep({"sweep": {"grid": {"batch-size": [1]}}}) == [{"batch_size": 1}]
    assert expand_sweep({"levels": 2}) == [{"levels": 2}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sweep": {"gird": {}}}, "grid, zip, seeds"),
        ({"sweep": {"zip": {"lr": [1], "rate": [0.1, 0.2]}}}, "differ in length"),
        ({"sweep": {"grid": {"rate": 0.1}}}, "table of lists"),
        ({"rate": 0.3, "sweep": {"grid": {"rate": [0.1]}}}, "swept and also set"),
        ({"sweep": {"seeds": "many"}}, "list of seeds"),
    ],
)
def test_sweeps_that_are_none(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand_sweep(settings)
