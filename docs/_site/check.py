"""Check a built site: every link within it leads to a page and a place on it, and nothing is loaded from elsewhere.

    python docs/_site/check.py site

Addresses of other sites are not fetched.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}


class Page(HTMLParser):
    """What a page can be linked at, links to, and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag in LOADED and LOADED[tag] in given and given.get("rel") != "canonical":
            self.loaded.add(given[LOADED[tag]])


def broken_links(site: Path) -> list[str]:
    """Return a line for each link that leads nowhere, and for each thing that is loaded from another site."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} loads {each}" for each in sorted(page.loaded) if urlsplit(each).netloc]
        for link in sorted(page.links | page.loaded):
            if (reason := _obstacle(link, path, site, pages)) is not None:
                found.append(f"{name} links to {link}: {reason}")
    return found


def _obstacle(link: str, path: Path, site: Path, pages: dict[Path, Page]) -> str | None:
    """Return why a link leads nowhere; None where it does, or leaves the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or path.name == "404.html":  # that page is shown at any address
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site) or not target.is_file():
        return "no such page"
    anchor = unquote(parts.fragment)
    if anchor and anchor not in {"", "__skip"} and anchor not in pages[target].places:
        return "no such place on the page"
    return None


if __name__ == "__main__":
    lines = broken_links(Path(sys.argv[1]).resolve())
    print("\n".join(lines) or "All links within the site lead somewhere.")
    sys.exit(1 if lines else 0)
