"""IDs of studies are pinned: a younger setting at its default changes none."""

from typing import Any

import pytest

from lth.data import load_data
from lth.models import LeNet300100
from lth.studies import STUDIES
from lth.studies.prepare import prepare

GOLDEN = {
    "find-ticket": "d4337f21eb9f",
    "train": "e620af16b744",
    "supermask": "6ad8d78bdebd",
    "connect": "3930e24c73c9",
    "stability": "a13c5da00132",
    "sparsify": "c225f10b19e7",
    "few-shot": "f9351cbbf286",
    "transfer": "c7becf3c2d56",
    "rewinding": "f3d10bcabd4b",
    "merge": "782465cbe7f8",
    "remove": "1c1f0f6b48e3",
    "regrow": "727afd02fec5",
    "selective-noise": "3fa287d4dd1b",
    "ablate": "c7b76a4b35c0",
}


def id_of(name: str, **fields: Any) -> str:
    """The ID of a study of LeNet-300-100 on the digits."""
    study = STUDIES[name]
    return prepare(study, study.settings(**fields), LeNet300100, load_data("digits")).id


@pytest.mark.parametrize("name", STUDIES)
def test_ids_are_pinned(name: str) -> None:
    assert id_of(name) == GOLDEN[name]


@pytest.mark.parametrize("name", STUDIES)
def test_what_changes_no_result_changes_no_id(name: str) -> None:
    """A setting written at its default, and the model and data by whatever name they go."""
    usual = STUDIES[name].settings()
    assert id_of(name, seed=0, replicates=usual.replicates, lr_decay=usual.training.lr_decay) == GOLDEN[name]


@pytest.mark.parametrize(
    "fields", [{"loss": "mean_squared_error"}, {"seed": 1}, {"confidence": 0.9}, {"lr": 0.02}, {"batch_size": 50}]
)
def test_a_setting_counts_where_it_is_set(fields: dict[str, Any]) -> None:
    for name in STUDIES:
        assert id_of(name, **fields) != GOLDEN[name]
