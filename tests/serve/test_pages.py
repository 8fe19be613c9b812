"""The pages of a real store: lists, filters, progress, comparisons, derivations that can be walked, files."""

import html
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from sites import BEGUN_AT, NO_NOTE, NO_RESULTS, RATE, RUNNING, Site, fetch, serving
from starlette.datastructures import QueryParams

from lth.analysis.labels import LABELS, Labels, write_labels
from lth.serve import app
from lth.serve.catalogue import Catalogue
from lth.serve.listing import listing, query_of

ROW = re.compile(r'<tr class="(\w+)">.*?<code>(\w+)</code>.*?</tr>', re.DOTALL)


def rows(site: Site, address: str = "/") -> dict[str, tuple[str, str]]:
    """State and text of each row, by ID."""
    status, text, _ = site.get(address)
    assert status == 200
    return {row[2]: (row[1], " ".join(re.sub(r"<[^>]+>", " ", row[0]).split())) for row in ROW.finditer(text)}


def test_list_names_every_study_with_its_state(site: Site) -> None:
    site.keep_lease()
    time.sleep(1.1)  # an answer of the file system is kept for a second
    shown = rows(site)
    states = {name: state for name, (state, _) in shown.items()}
    damaged = {NO_NOTE: "damaged", NO_RESULTS: "damaged"}
    assert states == {site.study: "finished", RATE: "finished", RUNNING: "running"} | damaged
    assert next(iter(shown)) == NO_NOTE
    assert "study.json is damaged" in shown[NO_NOTE][1]
    assert "results.json is damaged" in shown[NO_RESULTS][1]
    summary = json.loads((site.store / "studies" / site.study / "results.json").read_text())["verdict"]["summary"]
    assert summary in html.unescape(shown[site.study][1])
    for words in ("lenet-300-100", "digits", "classification", "dense, ticket, reinit, random", "20/20"):
        assert words in shown[site.study][1]
    assert "18/20 1 running" in shown[RUNNING][1]


def test_settings_tell_studies_apart(site: Site) -> None:
    shown = rows(site)
    assert "rate 0.5" in shown[site.study][1]
    assert "rate 0.4" in shown[RATE][1]
    assert "margin" not in shown[RATE][1]  # the same in all
    as_column = rows(site, "/?column=rate&sort=rate&order=rising")
    assert next(name for name in as_column if name != NO_NOTE) == RATE
    assert "rate 0.4" not in as_column[RATE][1]
    assert " 0.4 " in as_column[RATE][1]


def test_names_and_tags_stand_in_the_list_and_find_a_study(site: Site) -> None:
    folder = site.store / "studies" / RATE
    assert '<select name="tag"' not in site.get("/")[1]
    write_labels(folder, Labels("steep", ("paper",)))
    try:
        time.sleep(1.1)  # an answer of the file system is kept for a second
        assert "steep paper" in rows(site)[RATE][1]
        assert set(rows(site, "/?tag=paper")) == set(rows(site, "/?q=steep")) == {RATE}
    finally:
        (folder / LABELS).unlink()


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/?state=damaged", {NO_NOTE, NO_RESULTS}),
        ("/?q=rate+0.4", {RATE}),
        ("/?q=RATE&q=", set()),
        ("/?arm=reinit&q=0.4&model=lenet-300-100&data=digits&task=classification&study=find-ticket", {RATE}),
        ("/?model=lenet-5", set()),
        ("/?q=%3Cscript%3E&sort=nothing&page=99&column=none", set()),
    ],
)
def test_filters(site: Site, address: str, found: set[str]) -> None:
    named = set(rows(site, address))
    assert named == found if found or "q=RATE" not in address else len(named) == 5  # the last q counts
    assert "<script>" not in site.get(address)[1]


def test_progress_of_a_running_study(site: Site) -> None:
    site.keep_lease()
    time.sleep(1.1)
    found = json.loads(site.get(f"/study/{RUNNING}/progress.json")[1])
    jobs = {job["key"]: job for job in found["jobs"]}
    assert (found["state"], found["done"], found["all"], len(jobs)) == ("running", 18, 20, 20)
    working, begun = jobs[site.working], jobs[site.begun]
    assert (working["state"], working["by"].startswith(f"process {os.getpid()} on ")) == ("working", True)
    assert (begun["state"], begun["step"], begun["first"], begun["last"]) == ("begun", BEGUN_AT, 20, 200)
    assert re.fullmatch(r"\w+, replicate \d, level 3, density [\d.]+ %", begun["where"])
    assert found["steps"] - found["steps_done"] == 180 + 180 - (BEGUN_AT - 20)
    status, text, _ = site.get(f"/study/{RUNNING}")  # no results yet: this is its page
    assert status == 200
    assert text.count('class="job done"') == 18 + 1  # and the legend's
    assert "18 of 20 jobs" in text


def test_a_finished_study_is_its_report(site: Site) -> None:
    title = json.loads((site.store / "studies" / site.study / "results.json").read_text())["verdict"]["title"]
    status, text, _ = site.get(f"/study/{site.study}")
    assert status == 200
    assert f"<title>{title}</title>" in html.unescape(text)
    assert f'href="/study/{site.study}/jobs"' in text
    status, text, _ = site.get(f"/compare?ids={site.study},{RATE}")
    assert status == 200
    assert "rate 0.4" in text
    for ids in (site.study, f"{site.study},{RUNNING}", f"{site.study},{NO_RESULTS}"):
        assert site.get(f"/compare?ids={ids}")[0] == 400


@pytest.mark.parametrize("name", [NO_NOTE, NO_RESULTS])
def test_damage_is_said(site: Site, name: str) -> None:
    for page in ("", "/jobs", "/files"):
        status, text, _ = site.get(f"/study/{name}{page}")
        assert status == 200
        assert page == "/files" or "is damaged" in text


def test_a_derivation_can_be_walked(site: Site) -> None:
    known = {
        node["key"] for node in json.loads((site.store / "studies" / RUNNING / "derivation.json").read_text())["nodes"]
    }
    waiting, seen = [f"/result/{site.begun}?study={RUNNING}"], set()
    while waiting:
        address = waiting.pop()
        status, text, _ = site.get(address)
        assert status == 200, address
        seen.add(re.sub(r".*/result/(\w+).*", r"\1", address))
        links = {html.unescape(each) for each in re.findall(r'<a href="(/result/[^"]+)"', text)}
        waiting += [each for each in links if re.sub(r".*/result/(\w+).*", r"\1", each) not in seen]
        waiting = list(dict.fromkeys(waiting))
    assert seen == known
    text = site.get(f"/result/{site.begun}?study={RUNNING}")[1]
    assert f"goes on at step {BEGUN_AT}" in text
    assert 'class="node begun job self"' in text
    assert re.search(r'class="node plain value".*?<title>Combined', text, re.DOTALL)


def test_results_are_found_by_their_beginning_and_without_a_noted_derivation(site: Site, tmp_path: Path) -> None:
    masks = next(path.parent for path in site.store.glob("objects/*/*/masks.safetensors")).name
    status, _, headers = site.get(f"/result/{masks[:12]}")
    assert (status, headers["location"]) == (302, f"/result/{masks}")
    assert "chosen by" in site.get(f"/result/{masks}")[1] or "shuffled" in site.get(f"/result/{masks}")[1]
    older = tmp_path / "store"
    shutil.copytree(site.store, older, copy_function=os.link)
    for path in older.glob("studies/*/derivation.json"):
        path.unlink()
    with serving(app(older)) as port:
        status, text, _ = fetch(port, f"/result/{masks}")
        assert status == 200
        assert "has noted no derivation" in text
        found = json.loads(fetch(port, f"/study/{site.study}/progress.json")[1])
        assert (found["done"], found["steps"], len(found["jobs"])) == (20, 0, 20)


def test_files_are_those_that_are_offered(site: Site) -> None:
    _, text, _ = site.get(f"/study/{site.study}/files")
    offered = re.findall(r'files/([^"]+)" download', text)
    assert {"results.json", "details.json", "study.json", "curves.csv", "config.yaml"} <= set(offered)
    assert any(name.startswith("tickets/") for name in offered)
    for name in offered:
        status, _, headers = site.get(f"/study/{site.study}/files/{name}")
        assert status == 200
        assert headers["content-disposition"].startswith("attachment")
    page = site.get(f"/study/{site.study}")[1]
    linked = re.findall(rf'href="(/study/{site.study}/files/[^"]+)"', page)
    assert any(link.endswith("rows.csv") for link in linked)
    assert any(link.endswith(".svg") for link in linked)
    assert all(site.get(link)[0] == 200 for link in linked)
    stored = (site.store / "studies" / site.study / "results.json").read_text()
    assert site.get(f"/study/{site.study}/files/results.json")[1] == stored


@pytest.mark.parametrize(
    "path",
    [
        "/study/../secret.txt", "/study/..%2f..%2fsecret.txt", "/study/%2e%2e", "/study/.", "/study/%00",
        "/study/{study}/files/../../../../secret.txt", "/study/{study}/files/..%2f..%2f..%2fsecret.txt",
        "/study/{study}/files//etc/passwd", "/study/{study}/files/%2fetc%2fpasswd", "/study/{study}/files/place.json",
        "/study/{study}/files/..%5c..%5csecret.txt", "/study/..%2fstudies%2f{study}/jobs", "/result/..%2f..%2fsecret",
        "/result/" + "f" * 64, "/result/zz", "/assets/..%2f..%2fapp.py", "/assets/serve.css", "//etc/passwd",
        "/study/{study}%0d%0aX: y/files", "/compare?ids=../..,{study}",
    ],
)  # fmt: skip
def test_no_address_leaves_the_store(site: Site, path: str) -> None:
    status, text, _ = site.get(path.replace("{study}", site.study).replace(" ", "%20"))
    assert status in (400, 404)
    assert "beyond the store" not in text
    assert "root:" not in text


def test_links_that_lead_out_are_not_offered(site: Site) -> None:
    link = site.store / "studies" / RATE / "reproduction.json"
    link.symlink_to(site.store.parent / "secret.txt")
    try:
        assert site.get(f"/study/{RATE}/files/reproduction.json")[0] == 404
    finally:
        link.unlink()


def test_files_are_read_again_when_they_change_and_not_before(site: Site, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(site.store / "studies" / site.study, store / "studies" / site.study)
    catalogue, results = Catalogue(store), store / "studies" / site.study / "results.json"
    [before] = catalogue.entries()
    text, status = results.read_text(), results.stat()
    results.write_text(text.replace('"found"', '"fount"'))  # as long as before
    os.utime(results, ns=(status.st_atime_ns, status.st_mtime_ns))
    time.sleep(1.1)
    assert catalogue.entries()[0] is before
    results.write_text("{}")
    time.sleep(1.1)
    assert catalogue.entries()[0].state == "damaged"
    assert catalogue.entries()[0].done == 0


def test_many_studies_are_shown_by_pages(site: Site) -> None:
    [entry] = [each for each in Catalogue(site.store).entries() if each.id == RATE]
    shown = listing([entry] * 250, query_of(QueryParams("page=3")))
    assert (len(shown.rows), shown.pages, shown.found) == (50, 3, 250)
    assert shown.query.address(page=2) == "/?page=2"
