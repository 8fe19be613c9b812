"""A small server on 127.0.0.1 that speaks the protocol of the Hugging Face hub: repositories, branches, commits."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

READER, WRITER = "hf_reader", "hf_writer"
"""The two tokens that it takes."""


@dataclass
class Repository:
    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str) -> str:
        """The commit that a branch stands at: the digest of its files."""
        files = [(name, hashlib.sha256(content).hexdigest()) for name, content in sorted(self.branches[branch].items())]
        return hashlib.sha1(json.dumps([branch, files]).encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds, and how it fails on request.

    Attributes:
        url: its address.
        storage: the same server by another name, as files of the hub lie on another host.
        regular: what it takes within the commit itself, by the ending of the name; all else goes through LFS.
        harm: changes what a download gives, or None.
    """

    url: str = ""
    storage: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    regular: tuple[str, ...] = (".md",)
    harm: Any = None


class _Answer(Exception):
    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._route(hub, path, body)
        except _Answer as answer:
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.content))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _route(self, hub: Hub, path: str, body: bytes) -> None:
        if path.startswith("/lfs/"):
            raise self._lfs(hub, path.removeprefix("/lfs/"), body)
        writes = path == "/api/repos/create" or "/commit/" in path or "/branch/" in path or path.endswith("/batch")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in ("", READER, WRITER) or (writes and not token):
            raise _Answer(401, X_Error_Message="Invalid credentials in Authorization header")
        if writes and token != WRITER:
            raise _Answer(403, X_Error_Message="You don't have the rights to do this")
        if path == "/api/repos/create":
            raise self._create(hub, json.loads(body))
        if path == "/api/validate-yaml":
            raise _validated(json.loads(body)["content"])
        is_api = path.startswith("/api/models/")
        owner, name, *rest = path.removeprefix("/api/models/" if is_api else "/").split("/")
        repo = f"{owner}/{name.removesuffix('.git')}"
        if repo not in hub.repositories or (hub.repositories[repo].private and not token):
            raise _Answer(401, X_Error_Code="RepoNotFound")
        raise self._of(hub, repo, hub.repositories[repo], rest, body)

    def _create(self, hub: Hub, wanted: dict[str, Any]) -> _Answer:
        repo = f"{wanted['organization'] or 'me'}/{wanted['name']}"
        if repo in hub.repositories:
            return _Answer(409, {"error": "You already created this model repo", "url": f"{hub.url}/{repo}"})
        hub.repositories[repo] = Repository(wanted.get("visibility") == "private" or bool(wanted.get("private")))
        return _Answer(200, {"url": f"{hub.url}/{repo}", "name": repo})

    def _of(self, hub: Hub, repo: str, stored: Repository, rest: list[str], body: bytes) -> _Answer:
        match rest:
            case [] | ["revision", _]:
                branch = self._branch(stored, rest[1] if rest else "main")
                files = [{"rfilename": name} for name in stored.branches[branch]]
                known = {"id": repo, "private": stored.private, "sha": stored.commit(branch), "siblings": files}
                return _Answer(200, known)
            case ["branch", branch]:
                is_new = branch not in stored.branches
                stored.branches.setdefault(branch, dict(stored.branches["main"]))
                return _Answer(200 if is_new else 409)
            case ["preupload", branch]:
                self._branch(stored, branch)
                return _Answer(200, {"files": [self._mode(hub, file["path"]) for file in json.loads(body)["files"]]})
            case ["info", "lfs", "objects", "batch"]:
                return _Answer(200, {"objects": [_upload(hub, each) for each in json.loads(body)["objects"]]})
            case ["commit", branch]:
                return self._committed(hub, repo, stored, branch, [json.loads(line) for line in body.splitlines()])
            case ["resolve", revision, *parts]:
                return self._resolved(hub, stored, self._branch(stored, revision), "/".join(parts))
        return _Answer(404)

    def _branch(self, stored: Repository, revision: str) -> str:
        for branch in stored.branches:
            if revision in (branch, stored.commit(branch)):
                return branch
        raise _Answer(404, X_Error_Code="RevisionNotFound")

    def _mode(self, hub: Hub, path: str) -> dict[str, Any]:
        return {
            "path": path,
            "uploadMode": "regular" if path.endswith(hub.regular) else "lfs",
            "shouldIgnore": False,
        }

    def _committed(self, hub: Hub, repo: str, stored: Repository, branch: str, lines: list[Any]) -> _Answer:
        files = stored.branches[self._branch(stored, branch)]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                stored.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = hub.objects[value["oid"]]
        commit = stored.commit(branch)
        return _Answer(200, {"commitUrl": f"{hub.url}/{repo}/commit/{commit}", "commitOid": commit, "success": True})

    def _resolved(self, hub: Hub, stored: Repository, branch: str, path: str) -> _Answer:
        if path not in stored.branches[branch]:
            return _Answer(404, X_Error_Code="EntryNotFound")
        content = stored.branches[branch][path]
        digest = hashlib.sha256(content).hexdigest()
        headers = {"X_Repo_Commit": stored.commit(branch), "ETag": f'"{digest}"'}
        if path.endswith(hub.regular):
            return _Answer(200, content, **headers)
        hub.objects[digest] = content
        linked = {"X_Linked_ETag": f'"{digest}"', "X_Linked_Size": str(len(content))}
        return _Answer(302, b"", Location=f"{hub.storage}/lfs/{digest}", **headers, **linked)

    def _lfs(self, hub: Hub, digest: str, body: bytes) -> _Answer:
        if self.command != "PUT":
            content = hub.objects[digest]
            return _Answer(200, hub.harm(content) if hub.harm else content, ETag=f'"{digest}"')
        if hashlib.sha256(body).hexdigest() != digest:
            return _Answer(400)
        hub.objects[digest] = body
        return _Answer(200)


def _validated(card: str) -> _Answer:
    front = yaml.safe_load(card.split("---")[1])
    if front.get("license", "mit") not in ("mit", "apache-2.0"):
        return _Answer(400, {"errors": [{"message": '"license" must be one of [mit, apache-2.0]'}], "warnings": []})
    return _Answer(200, {"errors": [], "warnings": []})


def _upload(hub: Hub, wanted: dict[str, Any]) -> dict[str, Any]:
    known = {"oid": wanted["oid"], "size": wanted["size"]}
    if wanted["oid"] in hub.objects:
        return known
    return known | {"actions": {"upload": {"href": f"{hub.storage}/lfs/{wanted['oid']}"}}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a server, empty at first."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        port = server.server_address[1]
        server.hub = Hub(f"http://127.0.0.1:{port}", f"http://localhost:{port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.hub
        finally:
            server.shutdown()
            thread.join()
