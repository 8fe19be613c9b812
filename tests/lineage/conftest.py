"""One small finished study, shared by the tests that only read it."""

import pytest
from builds import built, study

from lth.lineage import Store
from lth.studies.prepare import Study


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    """A study of two levels with both controls, rewound to step 5, and the store that holds it. Do not write to it."""
    made = study(rewind_to="5it")
    return made, built(tmp_path_factory.mktemp("finished") / "store", made)
