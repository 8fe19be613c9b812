"""How a page lists settings: what the user changed first, the rest in the order of help."""

import pytest

from lth.config import flat_fields
from lth.launch import load_studies
from lth.launch.settings_shown import FOLLOWS, settings_document
from lth.studies import STUDIES
from lth.studies.prepare import Study
from lth.studies.table import settings_of


def prepared(name: str, **given: object) -> Study:
    study = STUDIES[name]
    [made] = load_studies(study, [settings_of(study, given)])
    return made


@pytest.mark.parametrize("name", ["find-ticket", "supermask", "merge", "connect"])
def test_nothing_is_unlike_the_preset_in_a_study_as_it_comes(name: str) -> None:
    assert settings_document(prepared(name))["changed"] == []


def test_what_is_unlike_the_preset_comes_first() -> None:
    study = prepared("find-ticket", rate=0.4, clip=1.0, seed=3)
    listed = settings_document(study)
    order = [name for name, *_ in flat_fields(study.type.settings)]
    assert listed["changed"] == ["seed", "clip", "rate"]
    for group, names in listed["groups"].items():
        if group != FOLLOWS:
            assert names == sorted(names, key=order.index)
    assert "model" in listed["groups"]["Study"]
    assert {"data_digest", "rates"} <= {*listed["groups"][FOLLOWS]}
    config, every = study.document(), [name for names in listed["groups"].values() for name in names]
    assert {*every, *listed["changed"]} == {name for name, value in config.items() if value not in (None, [], {}, "")}
