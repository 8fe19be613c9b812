"""The page in a real browser without a network: every figure is drawn, the console is silent, nothing overflows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>
const waiting = setInterval(() => {
  if (!document.documentElement.dataset.drawn) return;
  clearInterval(waiting);
  const page = document.documentElement;
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const count = (selector) => document.querySelectorAll(selector).length;
  const displays = new Set();
  let hovered = 0, outside = 0;
  for (const mark of [...document.querySelectorAll(".panel :is(.mark-symbol, .mark-rect) path")].slice(0, 400)) {
    const { left, top } = mark.getBoundingClientRect();
    for (const type of ["pointerover", "pointermove", "mouseover", "mousemove"])
      mark.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: left, clientY: top, view: window }));
    const rows = document.querySelectorAll("#vg-tooltip-element.visible td.key");
    hovered += rows.length;
    if (rows.length) {
      const box = document.getElementById("vg-tooltip-element").getBoundingClientRect();
      outside += box.left < 0 || box.right > window.innerWidth;
    }
    rows.forEach((row) => displays.add(getComputedStyle(row).display));
  }
  const found = {
    panels: count(".panel"),
    drawings: count(".panel:has(svg :is(.mark-line, .mark-rect, .mark-symbol) path)"),
    figures: count("figure"),
    keys: count(".keys:has(path)"),
    keyed: count(".keys:not(.none)"),
    hovered: hovered,
    outside: outside,
    tooltip: Number([...displays].join() === "table-cell"),
    cut: [...document.querySelectorAll(".folding")].filter((each) => each.scrollWidth > each.parentNode.clientWidth)
      .length,
    overflow: page.scrollWidth - page.clientWidth,
    requests: performance.getEntriesByType("resource").length,
  };
  console.info("probe:" + Object.entries(found).map(([name, value]) => ` ${name}=${value}`).join(""));
}, 50);
</script></body>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")


def visit(page: Path, folder: Path, width: int, scheme: str) -> tuple[str, list[str]]:
    """The document after drawing, and the lines that the browser wrote to its console."""
    assert BROWSER is not None
    probed = folder / "probed.html"
    start, _, end = page.read_text(encoding="utf-8").rpartition("</body>")
    probed.write_text(start + PROBE + end, encoding="utf-8")
    command = [
        BROWSER,
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        *(f"--window-size={width},1200", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"),
        probed.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize(
    ("shape", "width", "scheme"),
    [
        ("find-ticket", 1400, "light"),
        ("find-ticket", 400, "dark"),
        ("language-model", 400, "light"),
        ("regression", 1400, "dark"),
        ("connect", 400, "light"),
        ("stability", 400, "dark"),
        ("supermask", 400, "light"),
        ("comparison", 400, "light"),
        ("comparison", 1400, "light"),
    ],
)
def test_page_is_drawn(pages: dict[str, Path], tmp_path: Path, shape: str, width: int, scheme: str) -> None:
    check(*visit(pages[shape], tmp_path, width, scheme), scheme)


def check(document: str, console: list[str], scheme: str) -> None:
    """Asserts that every figure is drawn and that the console holds the probe's line alone."""
    assert f'data-drawn="{scheme}"' in document
    assert len(console) == 1, console
    found = {name: int(value) for name, value in re.findall(r" (\w+)=(\d+)", console[0])}
    assert found["drawings"] == found["panels"] >= found["figures"] >= 1
    assert found["keys"] == found["keyed"]
    assert found["hovered"] > 0, "no mark shows a tooltip"
    assert found["outside"] == 0  # no tooltip hangs out of the window
    assert found["tooltip"] == 1  # the rows of a tooltip stay a table
    assert found["cut"] == found["overflow"] == found["requests"] == 0
