"""JSON of files that anyone may have written or damaged."""

import json
from typing import Any


def parse_json(content: str | bytes, **options: Any) -> Any:
    """Return what a JSON text says.

    Args:
        content: the text, or its bytes.
        **options: of `json.loads`.
    Raises:
        ValueError: if it is no JSON, no text, or nested so deeply that reading it would fail.
    """
    try:
        return json.loads(content, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
