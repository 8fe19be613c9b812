"""How long to leave something alone that cannot be had yet."""

import random

WAIT_SECONDS = 1.0
"""The first wait while another process builds what we need."""
MOST_SECONDS = 30.0
"""The longest."""
GROWTH = 1.5


class Backoff:
    """Waits that grow up to a limit; they are drawn, so that processes that began together drift apart.

    Args:
        draws: the randomness.
    """

    def __init__(self, draws: random.Random) -> None:
        self._draws, self._seconds = draws, WAIT_SECONDS

    def next(self) -> float:
        """Return the next wait in seconds."""
        seconds, self._seconds = self._seconds, min(GROWTH * self._seconds, MOST_SECONDS)
        return self._draws.uniform(0.5, 1.0) * seconds

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._seconds = WAIT_SECONDS
