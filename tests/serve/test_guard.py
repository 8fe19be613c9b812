"""Who may read: tokens, cookies, Host headers, methods; and the command itself."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sites import Site, fetch, serving

from lth.cli.main import main
from lth.serve import app
from lth.serve.guard import is_loopback

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_reading(site: Site, method: str) -> None:
    assert site.get("/", method)[0] == 405
    assert site.get("/", "HEAD")[:2] == (200, "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "127.0.0.1.evil.example", "10.0.0.1", "", "localhost@x"]
)
def test_a_foreign_host_gets_nothing(site: Site, host: str) -> None:
    status, text, _ = site.get("/", Host=host)
    assert status == 421
    assert "Studies" not in text


def test_hosts_of_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost:8321", "LOCALHOST", "[::1]", "[::1]:9")))
    assert not any(map(is_loopback, ("::1:x", "localhost.", "localhost:x", "127.0.0.1:80:80", "127.0.0.10")))


def test_headers_forbid_frames_and_foreign_scripts(site: Site) -> None:
    _, _, headers = site.get("/")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script-src 'self';" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_token(site: Site) -> None:
    with serving(app(site.store, token=TOKEN, is_local=False, cookie="lth-token-1")) as port:
        refused = [
            fetch(port, "/"),
            fetch(port, "/?token=wrong"),
            fetch(port, "/?token="),
            fetch(port, f"/assets/style.css?token={TOKEN}x"),
            fetch(port, "/", Authorization="Bearer nonsense-nonsense"),
            fetch(port, "/", Authorization=f"Basic {TOKEN}"),
            fetch(port, "/", Cookie="lth-token-1=\xe9"),
            fetch(port, "/", Cookie=f"lth-token={TOKEN}"),
            fetch(port, "/result/zz"),
        ]
        assert {status for status, _, _ in refused} == {401}
        assert not any("Studies" in text for _, text, _ in refused)
        assert fetch(port, "/", Authorization=f"Bearer {TOKEN}", Host="node-3:8321")[0] == 200
        status, text, headers = fetch(port, f"/?q=rate&token={TOKEN}&state=damaged")
        assert status == 200
        assert '0;url=/?q=rate&amp;state=damaged"' in text
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert fetch(port, "/", Cookie=cookie.partition(";")[0])[0] == 200


def test_a_token_never_leads_elsewhere(site: Site) -> None:
    with serving(app(site.store, token=TOKEN, is_local=False)) as port:
        for path in ("//evil.example/", "/%5Cevil.example/", "/%22%3E%3Cscript%3E"):
            _, text, _ = fetch(port, f"{path}?token={TOKEN}")
            [target] = re.findall(r'url=([^"]*)"', text)
            assert re.match(r"/[^/\\]", target), target
            assert "<script" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--store", "nowhere"), "the store nowhere is no folder: name another with --store"),
        (("--token", "short"), "the token has 5 letters: give 16 or more"),
        (("--token", "a token with blanks; and more"), "the token has other letters than A-Z"),
        (("--port", "70000"), "a port is a number from 0 to 65535"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1, port 8321"),
    ],
)
def test_what_cannot_be_served(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    (tmp_path / "lth-store").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert ended.value.code == 1
    assert words in capsys.readouterr().err


def test_a_taken_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit):
        main(["serve", "--store", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert "in use; name another --port" in capsys.readouterr().err


def test_the_command_bound_elsewhere_makes_a_token(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lth", "serve", "--store", str(tmp_path), "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        found = re.search(r"http://[^:]+:(\d+)/\?token=(\S{30,})", lines[1])
        assert found, lines
        port = int(found[1])
        assert fetch(port, "/")[0] == 401
        status, text, _ = fetch(port, "/", Authorization=f"Bearer {found[2]}")
        assert status == 200
        assert "The store holds no studies" in text
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (0, "stopped\n", "")
