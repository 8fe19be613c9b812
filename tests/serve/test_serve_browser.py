"""The pages in a real browser: scripts run under their policy, nothing overflows, a running study goes on by itself."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sites import RUNNING, Site, serving

from lth.serve import app

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>
const page = document.documentElement;
const nodes = document.querySelectorAll("svg a .node").length;
console.info(`probe: ${page.scrollWidth - page.clientWidth} ${nodes}`);
</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")


def visit(address: str, folder: Path, width: int = 1400, scheme: str = "light") -> tuple[str, list[str]]:
    """The document after its scripts ran, and the lines that the browser wrote to its console."""
    assert BROWSER is not None
    command = [
        BROWSER,
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        *(f"--window-size={width},1200", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"),
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_scripts_run_under_their_policy(site: Site, tmp_path: Path) -> None:
    document, console = visit(f"http://127.0.0.1:{site.port}/?q=rate", tmp_path)
    assert console == []
    assert re.search(r'<button id="go" disabled="">', document)
    assert "choose two or more" in document


@pytest.mark.parametrize(
    ("page", "width", "scheme"),
    [
        ("/", 400, "light"),
        ("/", 1400, "dark"),
        ("/study/RUNNING", 400, "dark"),
        ("/result/KEY?study=RUNNING", 400, "light"),
    ],
)
def test_nothing_overflows(site: Site, tmp_path: Path, page: str, width: int, scheme: str) -> None:
    text = site.get(page.replace("RUNNING", RUNNING).replace("KEY", site.begun))[1]
    style = site.get("/assets/style.css")[1]
    text = re.sub(r"<script.*?</script>", "", text).replace('<link rel="stylesheet" href="/assets/style.css">', "")
    probed = tmp_path / "page.html"
    probed.write_text(text.replace("</head>", f"<style>{style}</style></head>").replace("</body>", PROBE + "</body>"))
    _, console = visit(probed.as_uri(), tmp_path, width, scheme)
    assert len(console) == 1
    overflow, nodes = map(int, re.findall(r"probe: (\d+) (\d+)", console[0])[0])
    assert overflow == 0
    assert (nodes > 5) == ("/result/" in page)


def test_a_running_study_goes_on_by_itself(site: Site, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(site.store, store, copy_function=shutil.copy)
    pages, asked = app(store), []

    async def finishing_one_job_meanwhile(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path", "").endswith("progress.json"):
            asked.append(scope["path"])
            if len(asked) == 2:
                (store / "objects" / site.begun[:2] / site.begun).mkdir(parents=True)
                time.sleep(1.2)  # an answer of the file system is kept for a second
        await pages(scope, receive, send)

    with serving(finishing_one_job_meanwhile) as port:
        document, console = visit(f"http://127.0.0.1:{port}/study/{RUNNING}", tmp_path)
    assert console == []
    assert len(asked) > 2
    assert "19 of 20 jobs" in document
