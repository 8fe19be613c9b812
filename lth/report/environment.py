"""The templates of pages."""

from pathlib import Path

import jinja2

from lth.report import words

TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path) -> jinja2.Environment:
    """Return the templates of this package, after those of other folders; whatever comes from a result is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"minus": words.minus, "unbroken": words.unbroken}
    return environment
