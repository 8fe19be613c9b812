"""Settings that nothing reads are named and put back."""

import warnings

import pytest

from lth.config import FindTicket
from lth.config.idle import without_idle_settings


@pytest.mark.parametrize(
    ("fields", "idle"),
    [
        ({"update_fraction": 0.5}, {"update_fraction"}),
        ({"sparsifier": "rigl", "update_fraction": 0.5, "curve": "linear"}, {"curve"}),
        ({"sparsifier": "gradual", "schedule": "one-shot", "curve": "linear"}, {"schedule"}),
        ({"sparsifier": "noise", "noise_scale": 0.3, "applications": 4}, {"applications"}),
        ({"samples": 33}, {"samples"}),
        ({"granularity": "2:4", "rate": 0.3, "scope": "global", "levels": 1}, {"rate", "scope"}),
    ],
)
def test_idle_settings_are_named_and_put_back(fields: dict[str, object], idle: set[str]) -> None:
    with pytest.warns(UserWarning, match="settings without effect") as caught:
        config = without_idle_settings(FindTicket(**fields), needs_examples=False)  # type: ignore[arg-type]
    assert all(name in str(caught[0].message) for name in idle)
    for name, value in fields.items():
        assert getattr(config, name) == (FindTicket.model_fields[name].default if name in idle else value)


@pytest.mark.parametrize(
    "fields",
    [{}, {"samples": 5}, {"granularity": "block:4x4", "rate": 0.3}, {"sparsifier": "set", "schedule": "increasing"}],
)
def test_settings_that_are_read_stay(fields: dict[str, object]) -> None:
    config = FindTicket(**fields)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert without_idle_settings(config, needs_examples=True) == config
