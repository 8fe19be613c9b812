"""Help is complete, true and fast."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest
from cli_runs import run

from lth.cli.main import app
from lth.config import Running, flat_fields
from lth.studies import STUDIES, settings_of

COMMANDS = [name for name in app if not name.startswith("-")]
PAGES = [
    (), *((name,) for name in COMMANDS), *(("plan", name) for name in STUDIES),
    ("ticket", "show"), ("ticket", "verify"), ("ticket", "apply"), ("ticket", "merge"), ("ticket", "compare"),
    ("ticket", "push"), ("ticket", "pull"), ("data", "prepare"), ("data", "show"), ("data", "ls"),
]  # fmt: skip
STUDY_PAGES = [*((name,) for name in STUDIES), *(("plan", name) for name in STUDIES), ("plan",)]


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    return run(capsys, *command, "--help")


def words_of(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_lth_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys)
    named = [
        "plan",
        "run",
        "reproduce",
        "resume",
        "status",
        "cancel",
        "logs",
        "ls",
        "label",
        "rm",
        "show",
        "report",
        "export",
        "serve",
        "sample",
        "save",
        "ticket",
        "superweights",
        "prune",
        "sparsity",
        "compact",
        "methods",
        "data",
        "doctor",
    ]
    assert {*STUDIES, *named} == set(COMMANDS)
    places = [shown.index(f"│ {command} ") for command in COMMANDS]
    assert places[:9] == sorted(places[:9])  # the most used first
    assert "130 interrupted" in shown


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 120])
def test_pages_fit_and_show_examples_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, page: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = help_of(capsys, *page).splitlines()
    assert max(map(len, lines)) <= columns
    examples = [line for line in lines if line.startswith("  lth ")]
    if examples:
        assert lines.index(examples[0]) < next(at for at, line in enumerate(lines) if line.startswith("╭"))
        assert len(examples) == sum(line.startswith("  ") for line in lines)  # none is broken over two lines
    for example in examples:
        _, _, unused, *_ = app.parse_known_args(shlex.split(example.split("#")[0])[1:])
        assert not unused, example


@pytest.mark.parametrize("page", STUDY_PAGES, ids=" ".join)
def test_every_setting_of_every_study_is_an_option(capsys: pytest.CaptureFixture[str], page: tuple[str, ...]) -> None:
    shown = words_of(help_of(capsys, *page))
    study = STUDIES[page[-1]] if page[-1] in STUDIES else STUDIES["find-ticket"]
    options = {name: info.description for name, info, *_ in flat_fields(study.settings)}
    options |= {info.alias or name: info.description for name, info in Running.model_fields.items()}
    for name, description in options.items():
        assert re.search(f"--{name.replace('_', '-')}[ │]", shown), name
        assert description
        assert description[:30] in shown
    assert "--preset" in shown
    switches = {
        "supermask": {"--no-rescale"},
        "find-ticket": {"--no-super-weights"},
        "ablate": {"--no-super-weights"},
    }.get(study.name, set())
    assert set(re.findall(r"--no-[a-z]+(?:-[a-z]+)*", shown)) - {"--no-decay"} == switches


def test_groups_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    groups = re.findall(r"╭─ (.+?) ─", help_of(capsys, "find-ticket"))
    assert groups == ["Most used", "Study", "Pruning", "Pruning within training", "Training", "Running"]
    assert re.findall(r"╭─ (.+?) ─", help_of(capsys, "supermask")) == [
        "Most used", "Study", "Supermask", "Training", "Running"
    ]  # fmt: skip


def test_the_first_screen_has_examples_and_what_is_most_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = help_of(capsys, "find-ticket").splitlines()
    screen = "\n".join(lines[:24])
    assert "--rewind-to 200it                # late rewinding" in screen
    assert [
        each for each in ("MODEL --model", "DATA --data", "FOLDER --folder", "--levels") if each not in screen
    ] == []
    box = help_of(capsys, "find-ticket").partition("─ Most used")[2].partition("╰")[0]
    assert re.findall(r"│ (?:[A-Z]+ )?--([a-z-]+)", box) == [
        "model", "data", "folder", "levels", "rate", "rewind-to", "replicates", "duration", "workers", "preset",
        "config",
    ]  # fmt: skip
    assert "500it or 1ep late rewinding" in words_of(box)


@pytest.mark.parametrize("study", STUDIES)
def test_what_a_study_shows_first_are_settings_of_its_own(study: str) -> None:
    kind = STUDIES[study]
    assert kind.first
    assert {*kind.first} <= {name for name, *_ in flat_fields(kind.settings)}


@pytest.mark.parametrize("name", STUDIES)
def test_defaults_are_those_of_a_study_without_arguments(capsys: pytest.CaptureFixture[str], name: str) -> None:
    shown = words_of(help_of(capsys, name))
    flat = settings_of(STUDIES[name], {}).flat()
    assert f"Defaults shown are those of {flat['model']} on {flat['data']}." in shown
    for option in ("duration", "replicates", "model", "evaluate_every"):
        start = re.search(rf"--{option.replace('_', '-')} ", shown.partition("─ Most used")[2])
        assert start is not None
        text = shown.partition("─ Most used")[2][start.end() :]
        assert re.search(r"\[default: ([^\]]+)\]", text).group(1) == str(flat[option])  # type: ignore[union-attr]


def test_where_other_models_differ_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    shown = words_of(help_of(capsys, "find-ticket"))
    said = re.search(r"Models and data sets without a preset have (.+?)\. What the store", shown)
    assert said is not None
    options = dict(zip(*[iter(said.group(1).split())] * 2, strict=True))
    general, usual = STUDIES["find-ticket"].settings().flat(), settings_of(STUDIES["find-ticket"], {}).flat()
    assert options["--levels"] == str(general["levels"])
    assert len(options) == sum(general[name] != usual[name] for name in general)


@pytest.mark.parametrize("arguments", [["--help"], ["find-ticket", "--help"], ["plan", "--help"],
                                       ["ticket", "verify", "--help"], ["ticket", "merge", "--help"],
                                       ["ticket", "push", "--help"],
                                       ["data", "prepare", "--help"]], ids=" ".join)  # fmt: skip
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom lth.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'altair', 'scipy', 'pandas', 'numpy', 'yaml'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=200)


def test_module_and_script_are_the_same() -> None:
    shown = subprocess.run([sys.executable, "-m", "lth", "--version"], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == version("lth")
