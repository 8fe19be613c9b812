"""What is shown while a study runs: counts, pace, time left, and a table that fits the terminal."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lth.data import load_data
from lth.launch import run_study
from lth.launch.live import LiveTable
from lth.launch.progress import Bar, Plain, make_progress
from lth.launch.tally import Pace, Quiet, Tally
from lth.lineage import Execution, Store, Trained, build, plan
from lth.lineage.estimate import relative_cost
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare

NOTE = "the engine is compiled first"


def study(name: str = "find-ticket", **fields: Any) -> Study:
    given = {"replicates": 2, "duration": "300it", "evaluate_every": 100} | fields
    return prepare(STUDIES[name], settings_of(STUDIES[name], given), MODELS["lenet-300-100"].make, load_data("digits"))


def planned(kind: type[Any], made: Study, folder: Path) -> Any:
    tally = kind(made)
    tally.planned(plan(made.targets, Store(folder)))
    return tally


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def simulate(tally: Tally, clock: Clock, num_workers: int, look: Callable[[], None], speed: float = 1500.0) -> None:
    """Let workers do the plan at a speed in steps of a dense network, words ten times a second."""
    waiting, running, done = list(tally.plan.works), dict[str, float](), set[str]()
    costs = {work.key: relative_cost(work) for work in waiting}
    jobs = {work.key: work.job for work in waiting}
    while waiting or running:
        for work in list(waiting):
            if len(running) < num_workers and not (work.needs & jobs.keys()) - done:
                waiting.remove(work)
                running[work.key] = 0.0
                tally.progress(work.key, jobs[work.key].first_step, {})
        clock.now += 0.1
        for key in list(running):
            running[key] += 0.1 * speed
            fixed, per_step = costs[key]
            steps = int((running[key] - fixed) / per_step)
            if steps > 0:
                last = jobs[key].first_step + min(steps, jobs[key].steps)
                tally.progress(key, last, {"validation/accuracy": 0.9} if isinstance(jobs[key], Trained) else {})
            if steps >= jobs[key].steps:
                del running[key]
                done.add(key)
                tally.finished(key)
        look()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("find-ticket", {"levels": 10, "replicates": 3, "duration": "3000it", "rewind_to": "100it"}),
        ("find-ticket", {"levels": 4, "sparsifier": "gradual", "duration": "2000it"}),
        ("stability", {"levels": 4, "duration": "2000it"}),
        ("connect", {"connect_levels": "0,2", "duration": "2000it"}),
    ],
)
def test_the_time_left_is_sane_from_the_first_line_on(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    tally, clock = planned(Tally, study(name, **fields), tmp_path), Clock()
    tally.pace = Pace(clock)
    said: list[tuple[float, float, float]] = []

    def look() -> None:
        if tally.seconds_left is not None:
            said.append((clock.now, tally.seconds_left, tally.share_done))

    assert (tally.share_done, tally.time_left, tally.is_moving) == (0.0, "", False)
    simulate(tally, clock, 2, look)
    whole = clock.now - 100.0
    assert said[0][0] - 100.0 <= 8.0
    for at, left, _ in said:
        truth = clock.now - at
        # Costs that are noted when a job ends, and the last jobs with a worker idle, make it no better.
        assert truth / 2 - 0.05 * whole <= left <= 2 * truth + 0.05 * whole
    shares = [share for *_, share in said]
    assert shares == sorted(shares)
    assert (tally.share_done, tally.time_left) == (1.0, "")


def test_a_pace_forgets_what_is_long_ago() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin()
    for second in range(1, 121):
        clock.now += 1.0
        pace.add(10.0 if second <= 60 else 40.0)
        expected = 10.0 if second <= 60 else 40.0 if second > 90 else None
        if second >= 2 and expected is not None:
            assert pace.per_second == pytest.approx(expected, rel=0.05)
    clock.now += 60.0
    assert pace.per_second == 0.0


def test_first_steps_that_load_and_compile_do_not_count() -> None:
    clock = Clock()
    pace = Pace(clock)
    for seconds, cost in ((0.0, 1.0), (3.0, 1.0), (1.0, 1.0)):
        clock.now += seconds
        pace.add(cost)
    assert pace.per_second == 0.0
    pace.add(1.0, is_end=True)  # the first training is over
    for _ in range(3):
        clock.now += 1.0
        pace.add(20.0)
    assert pace.per_second == pytest.approx(20.0)


def test_what_is_expected_gives_way_to_what_is_seen() -> None:
    clock = Clock()
    pace = Pace(clock, expected=50.0)
    assert pace.per_second == 50.0  # before anything moves
    pace.begin()
    shown = []
    for _ in range(31):
        clock.now += 1.0
        pace.add(10.0)
        shown.append(pace.per_second)
    assert shown[9] == pytest.approx(30.0)
    assert shown[-1] == pytest.approx(10.0, rel=0.05)


def test_the_store_remembers_how_fast_trainings_were(tmp_path: Path) -> None:
    store, execution = Store(tmp_path), Execution(workers=0, engine="torch")
    made = study(levels=1, duration="20it")
    assert Tally(made, execution=execution, store=store).seconds_left is None

    def expected(other: Study, how: Execution = execution) -> float | None:
        tally = Tally(other, execution=how, store=store)
        tally.planned(plan(other.targets, store))
        return tally.seconds_left

    assert expected(made) is None
    run_study(made, store, execution, out=tmp_path / "out")
    keys = [point.job.key for point in made.points]
    took = sum(store.manifest(key)["provenance"]["seconds"] for key in keys) / len(keys)
    goes_on = study(levels=2, duration="20it")  # some of it is done
    assert expected(goes_on) == pytest.approx(6 * took, rel=2)
    fresh = study(levels=1, duration="20it", seed=5)  # nothing of it is done; another study is like it
    assert expected(fresh) == pytest.approx(8 * took, rel=2)
    assert expected(study(levels=1, duration="20it", batch_size=7)) is None
    assert expected(fresh, Execution(workers=0, engine="sparse")) is None


def test_a_training_that_goes_on_in_the_middle_is_not_counted_as_fast(tmp_path: Path) -> None:
    made = study(levels=1, controls=())
    tally, clock = planned(Tally, made, tmp_path), Clock()
    tally.pace = Pace(clock)
    key = made.points[0].job.key
    tally.progress(key, 250, {})
    clock.now += 30.0  # it compiles, say
    tally.progress(key, 251, {})
    assert tally.time_left == ""
    clock.now += 5.0
    tally.progress(key, 255, {})
    clock.now += 5.0
    tally.progress(key, 265, {})
    assert tally.pace.per_second == pytest.approx(10 / 5, rel=0.01)


def test_what_is_stored_is_not_to_do(tmp_path: Path) -> None:
    made, store = study(levels=1, duration="20it"), Store(tmp_path)
    dense = [point.job for point in made.points if point.arm == "dense"]
    build(dense, store, made.sources, Execution(workers=0, engine="torch"))
    live = LiveTable(made)
    live.planned(plan(made.targets, store))
    live.__exit__()
    assert live.num_stored == 2
    assert live.count(0) == (2, 2)
    assert live.count(1) == (0, 6)
    assert all(live.is_stored(job.key) for job in dense)
    assert live.share_done == 0.0
    assert "stored" in text_of(live, 100, 30)


def test_what_is_stored_shows_its_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, store = study(levels=12, duration="20it", evaluate_every=10), Store(tmp_path)
    dense = [point.job for point in made.points if point.arm == "dense"]
    with Tally(made) as seen:
        build(dense, store, made.sources, Execution(workers=0, engine="torch"), seen)
    live = LiveTable(made, store=store)
    live.planned(plan(made.targets, store))
    live.__exit__()
    assert live.values == seen.values
    value = f"{100 * sum(seen.values.values()) / 2:.2f}"
    lines = text_of(live, 60, 20).splitlines()
    assert lines[3].split()[:3] == ["0", "100", value]  # level, share kept, the dense network
    assert "stored" not in text_of(live, 60, 20)
    capsys.readouterr()
    Plain(made, store=store).planned(plan(made.targets, store))
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"level 0, 100 % kept      validation accuracy: dense {value} %")


def text_of(live: LiveTable, width: int, height: int) -> str:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(live.view(console))
    return captured.get()


@pytest.mark.parametrize(("width", "height"), [(60, 20), (80, 24), (100, 30), (60, 12)])
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("find-ticket", {"levels": 20, "rate": 0.2}),
        ("find-ticket", {"levels": 12, "sparsifier": "rigl", "scope": "erk"}),
        ("find-ticket", {"levels": 1, "controls": ()}),
        ("supermask", {}),
        ("connect", {"rewind_to": "0it,50it,100it", "connect_levels": "0,2"}),
        ("stability", {"levels": 8}),
    ],
)
def test_the_table_fits_and_keeps_its_first_row(
    name: str, fields: dict[str, Any], width: int, height: int, tmp_path: Path
) -> None:
    live = LiveTable(study(name, **fields))
    Tally.planned(live, plan(live.study.targets, Store(tmp_path)))
    places, seen = live.places, set[str]()

    def look() -> None:
        lines = text_of(live, width, height).splitlines()
        assert len(lines) < height
        assert max(map(len, lines)) <= width
        assert not any("…" in line for line in lines)
        assert lines[0].startswith(f"{name}: lenet-300-100 on digits")
        seen.update(line.split()[0] for line in lines if line.strip())
        if len(places) > 1:
            assert lines[3].split()[0] == f"{places[0]:g}"
            active = next((place for place in places if live.count(place)[0] < live.count(place)[1]), places[-1])
            assert any(line.split()[:1] == [f"{active:g}"] for line in lines[3:])

    look()
    assert "starting" in text_of(live, width, height)
    simulate(live, Clock(), 2, look, speed=20000.0)
    if name in ("find-ticket", "stability"):
        assert {f"{place:g}" for place in places} <= seen  # every level was in view when it was its turn
    last = text_of(live, width, height)
    assert "100 %  trained; the results follow" in last
    assert "90.00" in last


@pytest.mark.parametrize("observer", [Tally, Plain])
def test_a_note_stands_until_a_training_moves(
    observer: type[Tally], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = planned(observer, study(levels=1, replicates=1, controls=()), tmp_path)
    tally.noted(NOTE)
    key = tally.study.points[0].job.key
    tally.progress(key, 0, {"validation/accuracy": 0.1})  # where it starts
    said = capsys.readouterr().err.splitlines()
    if observer is Plain:
        assert said[-1] == NOTE
    else:
        assert tally.note == NOTE
    tally.progress(key, 50, {"validation/accuracy": 0.5})
    assert tally.note == ""
    assert tally.mean(0, "dense") == 0.5


def test_plain_lines_of_a_real_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = study(levels=2, replicates=1, duration="20it", evaluate_every=10, rate=0.5)
    with make_progress(notes=["engine: torch"])(made) as observer:
        assert type(observer) is Plain  # stderr is no terminal here
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=0, engine="torch"), observer)
    lines = capsys.readouterr().err.splitlines()
    said = "lines show the validation part, the verdict reads the test part"
    assert lines[:3] == ["engine: torch", "7 jobs to do: 140 steps", said]
    assert [line.split("   ")[0].strip() for line in lines[3:]] == [
        "level 0, 100 % kept", "level 1, 50.5 % kept", "level 2, 25.6 % kept",
    ]  # fmt: skip
    assert "validation accuracy: ticket " in lines[-1]
    with make_progress()(made) as observer:
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=0, engine="torch"), observer)
    assert capsys.readouterr().err == "0 jobs to do, 7 done already: 0 steps\n"


def test_a_bar_in_a_notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = study(levels=1, replicates=1, duration="20it", controls=())
    with Bar(made) as bar:
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=0, engine="torch"), bar)
    assert "find-ticket: 100%" in capsys.readouterr().err


def test_where_the_output_goes_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(levels=1)
    assert type(make_progress(is_quiet=True)(made)) is Quiet
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert type(make_progress()(made)) is LiveTable
