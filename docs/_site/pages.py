"""Pages of the site that are made of other things: the changelog, the command line, source files that pages link to."""

import posixpath
import re
import runpy
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(((?:\.\./)+[^)#]+)\)")
LANGUAGES = {".py": "python", ".yaml": "yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog, the command line, and a page for each source file that a page links to."""
    changelog = (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=_nested(changelog)))
    commands = runpy.run_path(str(Path(__file__).with_name("commands.py")))["commands"]
    files.append(File.generated(config, "commands.md", content=commands()))
    linked = {path for file in files.documentation_pages() for path in _outside(file.src_uri, file.content_string)}
    for path in sorted(linked):
        text = f"# {path}\n\n```{LANGUAGES[Path(path).suffix]}\n{(ROOT / path).read_text()}```\n"
        files.append(File.generated(config, _page_of(path), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to source files to the pages made of them, and a study to its options."""
    folder = posixpath.dirname(page.file.src_uri)

    def led(link: re.Match[str]) -> str:
        path = _from_root(page.file.src_uri, link[1])
        if path is None:
            return link[0]
        return f"]({posixpath.relpath(_page_of(path), folder or '.')})"

    options = f"lth {posixpath.basename(page.file.name)}"
    if folder == "studies" and f"\n## {options}\n" in files.src_uris["commands.md"].content_string:
        markdown += f"\n\nAll options: [{options}](../commands.md#{options.replace(' ', '-')}).\n"
    return LINK.sub(led, markdown)


def _outside(source: str, markdown: str) -> set[str]:
    return {path for target in LINK.findall(markdown) if (path := _from_root(source, target))}


def _from_root(source: str, target: str) -> str | None:
    """Return the path from the repository's root of a link that leaves docs/, None of one that stays."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), target))
    return None if path.startswith("docs/") else path


def _page_of(path: str) -> str:
    return f"source/{path}.md"


def _nested(markdown: str) -> str:
    """Indent nested lists by four spaces, which Python's Markdown wants where code hosts take two."""
    return re.sub(r"^(?: {2})+(?=\S)", lambda spaces: 2 * spaces[0], markdown, flags=re.MULTILINE)
