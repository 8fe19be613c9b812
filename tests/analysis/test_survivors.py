"""Networks are read once, and what does not fit into memory is read again with the same outcome."""

from typing import Any

import numpy as np
import pytest

import lth
from lth.analysis.survivors import Networks
from lth.cli.stored import load_stored
from lth.lineage import Reader, Store, Trained


@pytest.mark.parametrize(("room", "times"), [(2**20, 1), (0, 2)])
def test_each_network_is_read_once_where_it_fits(small_found: lth.Found, room: int, times: int) -> None:
    store = small_found.folder.parent / "store"
    study = load_stored(small_found.id, store, None)
    reads: list[Any] = []

    class Counted(Reader):
        def weights(self, node: Any) -> Any:
            reads.append(node.key)
            return super().weights(node)

    point = next(point for point in study.points if point.arm == "ticket" and isinstance(point.job, Trained))
    networks = Networks(Counted(Store(store), study.sources), [], room)
    first, again = networks.survivors(point), networks.survivors(point)
    assert reads.count(point.job.key) == times
    for one, two in zip(first, again, strict=True):
        assert one.layer == two.layer
        np.testing.assert_array_equal(one.after, two.after)
        assert one.before.size == one.after.size == networks.counts(point)[one.layer][0] > 0
