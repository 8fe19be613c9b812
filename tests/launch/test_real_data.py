"""The main job on the real images."""

from pathlib import Path

import pytest
from builds import HERE

import lth


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_short_search_on_real_images_learns_and_rewinds(name: str, real_data_dir: Path, tmp_path: Path) -> None:
    found = lth.find_ticket(
        "lenet-300-100", name, real_data_dir, store=tmp_path / "store", out=tmp_path / "out", progress=False,
        execution=HERE, levels=1, replicates=1, duration="150it", rewind_to="20it", controls="none",
    )  # fmt: skip
    assert found.results["config"]["validation"] == 5000
    dense, ticket = found.results["rows"]
    for row in (dense, ticket):
        assert row["end"]["test/accuracy"] is not None
        assert row["end"]["test/accuracy"] > 0.7
    assert ticket["at"]["density"] == pytest.approx(0.8, abs=0.001)
    assert lth.read_ticket(found.tickets[0]).start is not None  # a rewound start cannot be drawn from a seed
