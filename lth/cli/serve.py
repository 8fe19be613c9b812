"""`lth serve`: a page for the whole store."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from lth.cli.errors import CommandError

NEEDED = ("starlette", "uvicorn")


def serve(
    *, store: Path = Path("lth-store"), host: str = "127.0.0.1", port: int = 8321, token: str | None = None
) -> int:
    """Show the store in a browser: all studies, how far they are, reports, comparisons, what results are derived from.

        lth serve                       # http://127.0.0.1:8321/, from this machine alone
        lth serve --host 0.0.0.0        # from others too: prints an address with a token

    It reads and changes nothing. Studies that run now are shown as they go on.

    Args:
        store: folder of results.
        host: address to listen on; one that other machines reach asks them for a token.
        port: port to listen on; 0 takes a free one.
        token: 16 letters or more that everyone must give, of A-Z, a-z, 0-9 and ._~+/=- [default: made where other
            machines can ask].
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CommandError(f"the page needs the package {' and '.join(missing)}: pip install 'lth[serve]'")
    from lth.serve import serve as serve_store

    with suppress(KeyboardInterrupt):
        serve_store(store, host, port, token)
    print("stopped")
    return 0
