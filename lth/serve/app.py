"""The pages of a store by their address. An ID or key in an address is looked up among those that are there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lth.serve.catalogue import Catalogue, Entry
from lth.serve.derivation import read_derivation
from lth.serve.files import study_files
from lth.serve.guard import Guard
from lth.serve.listing import FILTERS, listing, query_of
from lth.serve.pages import ReportPages, asset, filled
from lth.serve.progress import place_words, progress
from lth.serve.results import DEPTHS, find_result, result_page

MOST_COMPARED = 12
ASSETS = {"style.css": "text/css"} | dict.fromkeys(("list.js", "live.js", "result.js"), "text/javascript")
OWN_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
REPORT_PAGES = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def app(store: Path, *, token: str | None = None, is_local: bool = True, cookie: str = "lth-token") -> Starlette:
    """Return the pages of a store as an ASGI application; it reads and never writes.

    Args:
        store: folder of results.
        token: asked of everyone; None asks nobody.
        is_local: whether it is reached from this machine alone (see `Guard`).
        cookie: name of the cookie that holds the token.
    """
    pages = Pages(store)
    routes = [
        Route("/", pages.studies),
        Route("/studies.json", pages.studies_json),
        Route("/compare", pages.compare),
        Route("/study/{id}", pages.study),
        Route("/study/{id}/jobs", pages.jobs),
        Route("/study/{id}/progress.json", pages.progress_json),
        Route("/study/{id}/files", pages.files),
        Route("/study/{id}/files/{name:path}", pages.file),
        Route("/result/{key}", pages.result),
        Route("/assets/{name}", pages.asset),
    ]
    middleware = [
        Middleware(Guard, token=token, is_local=is_local, cookie=cookie),
        Middleware(GZipMiddleware, minimum_size=10_000, compresslevel=3),
    ]
    made = Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: _said, 500: _failed})
    made.state.catalogue = pages.catalogue
    return made


def _own(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    return HTMLResponse(filled(template, **context), status, {"Content-Security-Policy": OWN_PAGES})


def _said(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _own("message.html.jinja", error.status_code, title="Not here", message=error.detail)


def _failed(_: Request, error: Exception) -> Response:
    return _own("message.html.jinja", 500, title="This is a bug of lth", message=f"{type(error).__name__}: {error}")


class Pages:
    """What is answered at each address; each method is one of them."""

    def __init__(self, store: Path) -> None:
        self.catalogue, self.reports = Catalogue(store), ReportPages()
        self.store, self.objects = store, self.catalogue.objects

    def studies(self, request: Request) -> Response:
        shown = listing(self.catalogue.entries(), query_of(request.query_params))
        template = "table.html.jinja" if request.query_params.get("part") == "table" else "list.html.jinja"
        return _own(template, shown=shown, query=shown.query, store=self.store.resolve(), filters=list(FILTERS))

    def studies_json(self, request: Request) -> Response:
        return JSONResponse([_document(entry) for entry in self.catalogue.entries()])

    def compare(self, request: Request) -> Response:
        given = [part.strip() for value in request.query_params.getlist("ids") for part in value.split(",")]
        entries = [self._entry(name) for name in dict.fromkeys(given) if name]
        if not 2 <= len(entries) <= MOST_COMPARED:
            raise HTTPException(400, f"choose 2 to {MOST_COMPARED} studies; {len(entries)} are chosen")
        lacking = [entry.id for entry in entries if entry.state != "finished"]
        if lacking:
            raise HTTPException(400, f"studies without whole results cannot be compared: {', '.join(lacking)}")
        return self._report(entries, filled("above.html.jinja", entry=None, entries=entries, here="compare"))

    def study(self, request: Request) -> Response:
        entry = self._entry(request.path_params["id"])
        if entry.state != "finished":
            return self._jobs(entry, request)
        return self._report([entry], filled("above.html.jinja", entry=entry, entries=(), here="report"))

    def _report(self, entries: Sequence[Entry], above: str) -> Response:
        try:
            page = self.reports.page(entries, above)
        except ValueError as error:
            if len(entries) > 1:
                raise HTTPException(400, str(error)) from error
            return _own("message.html.jinja", title=f"Study {entries[0].id}", message=str(error), entry=entries[0])
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_PAGES})

    def jobs(self, request: Request) -> Response:
        return self._jobs(self._entry(request.path_params["id"]), request)

    def _jobs(self, entry: Entry, request: Request) -> Response:
        if entry.note is None:
            return _own("message.html.jinja", title=f"Study {entry.id}", message=entry.damage, entry=None)
        shown = progress(entry, read_derivation(entry.folder), self.objects)
        template = "progress.html.jinja" if request.query_params.get("part") == "progress" else "jobs.html.jinja"
        return _own(template, entry=entry, shown=shown, here="jobs")

    def progress_json(self, request: Request) -> Response:
        entry = self._entry(request.path_params["id"])
        if entry.note is None:
            raise HTTPException(404, entry.damage)
        return JSONResponse(progress(entry, read_derivation(entry.folder), self.objects).document())

    def files(self, request: Request) -> Response:
        entry = self._entry(request.path_params["id"])
        offered = {name: path.stat().st_size for name, path in study_files(entry.folder).items()}
        return _own("files.html.jinja", entry=entry, offered=offered, here="files")

    def file(self, request: Request) -> Response:
        entry = self._entry(request.path_params["id"])
        path = study_files(entry.folder).get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, f"study {entry.id} offers no such file")
        return FileResponse(path, filename=path.name, headers={"Content-Security-Policy": "sandbox"})

    def result(self, request: Request) -> Response:
        given, depth = request.path_params["key"], request.query_params.get("depth", "")
        found = find_result(given, request.query_params.get("study", ""), self.catalogue)
        if isinstance(found, str):
            raise HTTPException(404, found)
        if found.key != given:
            return RedirectResponse(f"/result/{found.key}", 302)
        shown = result_page(found, depth if depth in DEPTHS else "", self.catalogue)
        return _own("result.html.jinja", shown=shown, place_words=place_words)

    def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            raise HTTPException(404, "there is no such file")
        return Response(asset(name), media_type=ASSETS[name])

    def _entry(self, name: str) -> Entry:
        entry = self.catalogue.get(name)
        if entry is None:
            raise HTTPException(404, f"the store has no study {name!r}")
        return entry


def _document(entry: Entry) -> dict[str, Any]:
    names = ("id", "study", "state", "model", "data", "task", "arms", "replicates", "created", "verdict", "done")
    return {name: getattr(entry, name) for name in names} | {"jobs": len(entry.jobs), "settings": entry.settings}
