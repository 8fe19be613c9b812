"""The settings of pruning within training."""

from typing import Any

import pytest
from pydantic import ValidationError

from lth.config.sparsifier import Sparsifier


def test_defaults() -> None:
    assert Sparsifier().model_dump() == {
        "method": "gradual",
        "density": 0.1,
        "curve": "cubic",
        "begin": 0.15,
        "end": 0.85,
        "applications": 10,
        "criterion": "large_final",
        "scope": None,
        "update_fraction": 0.3,
        "moments": "zero",
        "noise": "normal",
        "noise_scale": 1.0,
        "release": False,
    }


def test_settings_are_values() -> None:
    one = Sparsifier(method="rigl", density=0.2)
    assert one == Sparsifier.model_validate_json(one.model_dump_json())
    assert len({one, one.model_copy(), Sparsifier()}) == 2
    with pytest.raises(ValidationError, match="frozen"):
        one.density = 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"density": 0.0}, "density"),
        ({"density": 1.0}, "density"),
        ({"begin": 0.9}, r"begin 0\.9 comes after end 0\.85"),
        ({"applications": 0}, "applications"),
        ({"noise_scale": float("inf")}, "noise_scale"),
        ({"densty": 0.5}, "densty"),
    ],
)
def test_what_cannot_work_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Sparsifier(**fields)
