"""`gradline help`: a page for every command, its examples, the pager, and man."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import process, python, run, write_houses
from gradline.manpage import Example, Heading, Item, Lines, Section, page, plain
from gradline.manual import COMMANDS, GRADLINE
from gradline.options import build_parser, commands_of
from gradline.roff import escaped, roff
from helpers import ROOT

NAMES = list(commands_of(build_parser()))
PAGES = [None, *NAMES]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MANPAGER", "PAGER", "LESS", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def test_every_command_has_words() -> None:
    assert list(COMMANDS) == NAMES
    for words in COMMANDS.values():
        assert words.text
        assert 2 <= len(words.examples) <= 4
        assert set(words.also) <= set(NAMES)


@pytest.mark.parametrize("command", NAMES)
def test_a_page_is_like_one_of_man(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "help", command)
    assert (code, err) == (0, "")
    titles = re.findall(r"^[A-Z][A-Z ]+$", out, re.MULTILINE)
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"]
    assert [title for title in titles if title in wanted] == wanted
    assert titles[-2:] == ["EXIT STATUS", "SEE ALSO"]
    assert out.startswith(f"NAME\n       gradline-{command} - ")
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    _, short, _ = run(capsys, command, "--help")
    for option in re.findall(r"--[a-z][a-z0-9-]+", short):
        assert option in out, option
    assert f"'gradline help {command}'" in short or command == "completion"


def test_the_first_page_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "help")
    commands = out.partition("COMMANDS\n")[2].partition("\n\n")[0]
    assert re.findall(r"^       (\w+) ", commands, re.MULTILINE) == NAMES


def test_the_options_of_a_page_stand_in_their_groups() -> None:
    """Every option of fit, once, under the title that --help has."""
    parser = build_parser()
    sections = {section.title: section for section in page(parser, "fit")}
    group, found = "options", {}
    for block in sections["OPTIONS"].blocks:
        if isinstance(block, Heading):
            group = block.text.lower()
        else:
            assert isinstance(block, Item)
            assert block.term not in found
            found[block.term] = group
    own = commands_of(parser)["fit"][1]
    flags = {name for action in own._actions for name in action.option_strings}
    assert {name for term in found for name in re.findall(r"--?[\w-]+", term)} == flags
    assert found["--penalty ridge|lasso|elastic_net"] == "penalty and bounds"
    assert found["--shuffle, --no-shuffle"].startswith("minibatches")
    assert found["-o, --output FILE"] == "options"
    texts = [b.text for b in sections["OPTIONS"].blocks if isinstance(b, Item)]
    assert not [text for text in texts if "%(" in text or not text]


EXAMPLES = [
    pytest.param(command, example.line, id=f"{command or 'gradline'}-{place}")
    for command, words in [(None, GRADLINE), *COMMANDS.items()]
    for place, example in enumerate(words.examples)
]


def words_of(line: str) -> list[str]:
    """The words of an example that are for gradline: what a shell would give it."""
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "gradline"
    return words[1 : words.index(">") if ">" in words else None]


@pytest.mark.parametrize(("command", "line"), EXAMPLES)
def test_an_example_can_be_typed(command: str | None, line: str) -> None:
    words = words_of(line)
    given = build_parser().parse_args(words)
    assert command in (None, given.command)
    assert max(map(len, line.splitlines())) <= 80 - 11


# Those that wait for a browser or a client, and one that has a test of its own.
WAIT = {"lab", "serve", "export"}


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_houses()
    for command, words in COMMANDS.items():
        for example in words.examples:
            given = words_of(example.line)
            if command in WAIT or (command == "demo" and len(given) > 1):
                continue
            given = [word.replace("1000000", "1000") for word in given]
            if "--part" in given:  # of a model whose fit has set rows aside
                fit = COMMANDS["fit"].examples[2]
                assert run(capsys, *words_of(fit.line))[0] == 0
            code, _, err = run(capsys, *given)
            assert code == 0, f"{example.line}: {err}"
    for words in COMMANDS.values():
        for name, _ in words.files:
            for part in name.split(", "):
                assert Path(part).exists() or Path("gradline-demo", part).exists(), part
    for name in ("surface.png", "guesses.parquet", "degrees.png", "model.html"):
        assert Path(name).stat().st_size > 500


# Width, JSON, and what is not there.


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, most in [("20", 40), ("60", 60), ("300", 100)]:
        monkeypatch.setenv("COLUMNS", columns)
        prose = process("help", "help").stdout.partition("DESCRIPTION")[2]
        widest = max(map(len, prose.partition("EXAMPLES")[0].splitlines()))
        assert most - 15 < widest <= most


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "help", "fit", "--json")
    told = json.loads(out)
    assert (told["command"], told["topic"]) == ("help", "fit")
    assert told["page"] + "\n" == run(capsys, "help", "fit")[1]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fitt", "did you mean 'fit'?"), ("xyz", "there are demo, sample, fit,")],
)
def test_no_such_command(
    name: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "help", name)
    assert (code, out) == (2, "")
    assert err.startswith(f"gradline: there is no command {name!r}: {hint}")
    assert len(err.splitlines()) == 1


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys; from gradline.cli import main; main(['help', 'fit']); "
        "print([m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    assert python("-c", code).stdout.endswith("[]\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    process("help", "fit")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5


# Its two forms.


def test_plain_text() -> None:
    sections = [
        Section("NAME", ["a line that is too long for so few columns"]),
        Section("SYNOPSIS", [Lines("two\nlines")]),
        Section("SHORT", [Item("a", "one"), Item("bcd", "two and more words to wrap")]),
        Section("LONG", [Heading("Of some"), Item("--a-long-option FILE", "text")]),
        Section("EXAMPLES", [Example("So", "gradline \\\n    fit")]),
    ]
    assert plain(sections, 30).splitlines() == [
        "NAME",
        "       a line that is too long",
        "       for so few columns",
        "",
        "SYNOPSIS",
        "       two",
        "       lines",
        "",
        "SHORT",
        "       a     one",
        "       bcd   two and more words",
        "             to wrap",
        "",
        "LONG",
        "   Of some",
        "       --a-long-option FILE",
        "              text",
        "",
        "EXAMPLES",
        "       So:",
        "",
        "           gradline \\",
        "               fit",
    ]
    strong = plain(sections, 30, bold=True)
    assert "\x1b[1mNAME\x1b[0m" in strong
    assert re.sub(r"\x1b\[\d?m", "", strong) == plain(sections, 30)


def test_roff_takes_every_sign_as_it_is() -> None:
    assert escaped(".x") == r"\&.x"
    assert escaped("'x'") == r"\(aqx\(aq"
    assert escaped("-o \\ ~/a^`") == r"\-o \e \(ti/a\(ha\(ga"
    assert escaped("R²") == r"R\[u00B2]"


@pytest.mark.parametrize("command", PAGES)
def test_roff_is_sound(command: str | None) -> None:
    """ASCII, each line text or a known command, and groff has nothing to say of it."""
    found = roff(page(build_parser(), command), "gradline-x", "1.2.3")
    assert found.isascii()
    lines = found.split("\n")
    assert lines[0] == r'.TH GRADLINE\-X 1 "" "gradline 1.2.3"'
    macros = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert macros <= {
        *(".TH", ".nh", ".ad", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi", ".RS", ".RE")
    }
    assert lines.count(".nf") == lines.count(".fi")
    groff = shutil.which("groff")
    if groff is None:
        return
    read = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-rLL=80n", "-P-cbou"],
        input=found + "\n",
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert read.stderr == ""
    text = plain(page(build_parser(), command), 80)
    assert re.findall(r"\S+", read.stdout)[4:-1] != []
    set_words = set(re.findall(r"\S+", read.stdout))
    missing = [word for word in re.findall(r"\S+", text) if word not in set_words]
    assert missing == []


def test_man_reads_it(tmp_path: Path) -> None:
    man = shutil.which("man")
    if man is None or shutil.which("groff") is None:
        pytest.skip("man is not installed")
    written = process("help", "--roff", "fit").stdout
    file = tmp_path / "gradline-fit.1"
    file.write_text(written, encoding="ascii")
    read = subprocess.run(
        [man, "-l", file], capture_output=True, encoding="utf-8", check=False
    )
    if "minimized" in read.stdout:
        pytest.skip("this system has no manual pages")
    assert "gradline-fit - fit a line" in read.stdout
    assert "--minimum-norm" in read.stdout


# The pager.


def on_a_terminal(*words: str, **environment: str) -> str:
    """What a command shows on a terminal, where nobody types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gradline", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        close_fds=True,
    )
    os.close(theirs)
    found = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the terminal has no more writers
                break
            if not part:
                break
            found += part
    os.close(ours)
    assert process.wait(20) == 0
    return found.decode().replace("\r\n", "\n")


def test_a_terminal_gets_the_pager(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "paged, LESS=$LESS:"\ncat\n')
    pager.chmod(0o755)
    shown = on_a_terminal("help", "help", PAGER=str(pager), TERM="xterm")
    assert shown.startswith("paged, LESS=FRX:\n\x1b[1mNAME\x1b[0m")
    assert "SEE ALSO" in shown
    first = on_a_terminal("help", "help", MANPAGER=f"{pager} -x", PAGER="no", LESS="q")
    assert first.startswith("paged, LESS=q:")


@pytest.mark.parametrize("pager", ["cat", "/nowhere/pager", "'", "sh -c 'exit 127'"])
def test_without_a_pager_the_page_is_printed(pager: str) -> None:
    shown = on_a_terminal("help", "help", PAGER=pager, TERM="xterm")
    assert shown.startswith("NAME\n       gradline-help - ")
    assert "\x1b" not in shown


def test_a_reader_may_leave_early() -> None:
    assert on_a_terminal("help", "fit", PAGER="true", TERM="xterm") == ""


def test_elsewhere_no_pager_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "/nowhere/pager")
    assert process("help", "help").stdout.startswith("NAME\n")
    assert "\x1b" not in on_a_terminal("help", "help", TERM="dumb", PAGER="cat")
    assert on_a_terminal("help", "--json", PAGER="tac", TERM="xterm").startswith("{")
