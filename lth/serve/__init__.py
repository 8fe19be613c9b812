"""A page for the whole store: read-only, from what is on disk."""

from lth.serve.app import app
from lth.serve.server import serve

__all__ = ["app", "serve"]
