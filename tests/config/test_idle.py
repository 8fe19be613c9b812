"""Settings that nothing reads are named, and leave no trace in what determines a result."""

import warnings
from typing import Any

import pytest

from lth.data import load_data
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare

SHORT: dict[str, Any] = {"levels": 1, "replicates": 1, "duration": "20it"}


def prepared(**fields: Any) -> Study:
    settings = settings_of(STUDIES["find-ticket"], SHORT | fields)
    return prepare(STUDIES["find-ticket"], settings, MODELS["lenet-300-100"].make, load_data("digits"))


@pytest.mark.parametrize(
    ("fields", "idle"),
    [
        ({"update_fraction": 0.5}, {"update_fraction"}),
        ({"sparsifier": "rigl", "update_fraction": 0.5, "curve": "linear"}, {"curve"}),
        ({"sparsifier": "gradual", "schedule": "one-shot", "curve": "linear"}, {"schedule"}),
        ({"sparsifier": "noise", "noise_scale": 0.3, "applications": 4}, {"applications"}),
        ({"sparsifier": "set", "rounds": 4}, {"rounds"}),
        ({"samples": 33}, {"samples"}),
        ({"granularity": "2:4", "rate": 0.4, "scope": "global", "never_prune": "output.*"}, {"rate", "scope"}),
        ({"final_lr": 1e-5, "lr_milestones": "5it"}, {"final_lr", "lr_milestones"}),
    ],
)
def test_idle_settings_are_named_and_change_no_id(fields: dict[str, Any], idle: set[str]) -> None:
    with pytest.warns(UserWarning, match="settings without effect") as caught:
        study = prepared(**fields)
    said = "; ".join(str(each.message) for each in caught)
    assert all(f"{name} " in said for name in idle)
    assert not any(f"{name} " in said for name in fields.keys() - idle - {"granularity", "sparsifier", "never_prune"})
    without = {name: value for name, value in fields.items() if name not in idle}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        usual = prepared(**without, **({"rate": 0.2} if "rate" in idle else {}))
    assert study.id == usual.id
    assert [job.key for job in study.targets] == [job.key for job in usual.targets]
    assert study.settings.flat() == usual.settings.flat()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"samples": 5, "criterion": "snip"},
        {"granularity": "block:4x4", "rate": 0.4},
        {"sparsifier": "set", "schedule": "increasing", "update_fraction": 0.5},
        {"sparsifier": "none", "begin": 0.15, "end": 0.85, "noise": "normal"},  # as a file with every setting has it
        {"lr_decay": "step", "lr_milestones": "5it", "lr_factor": 0.5},
    ],
)
def test_settings_that_are_read_stay(fields: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = prepared(**fields)
        again = prepare(study.type, study.type.settings(**study.settings.flat()), MODELS["lenet-300-100"].make,
                        load_data("digits"))  # fmt: skip
    assert again.id == study.id
    flat = study.settings.flat()
    assert all(flat[name] in (value, [value]) for name, value in fields.items() if name in flat)


def test_what_is_resolved_changes_no_id() -> None:
    assert prepared().id == prepared(task="classification", loss="cross_entropy").id
    assert prepared().id == prepared(data="digits", model="lenet-300-100").id
    assert prepared().id != prepared(loss="mean_squared_error").id
