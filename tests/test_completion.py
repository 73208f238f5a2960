"""`gradline completion`: what a shell offers at the Tab key, asked of the shells."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from commands import process, python, run
from gradline.completing import SHELLS
from gradline.options import build_parser, commands_of


@pytest.fixture(autouse=True)
def _in_a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("houses.csv", "my houses.csv", "m.safetensors", "notes.txt"):
        Path(name).touch()
    Path("folder").mkdir()


FILES = {"houses.csv", "my houses.csv", "m.safetensors", "notes.txt", "folder"}
MODELS = {"m.safetensors", "folder"}
COMMANDS = set(commands_of(build_parser()))

#: What is typed, the last word being where the cursor stands, and what is offered.
OFFERS = [
    ("gradline ''", COMMANDS),
    ("gradline pr", {"predict"}),
    ("gradline fit ''", FILES),
    ("gradline fit ho", {"houses.csv"}),
    ("gradline fit --pen", {"--penalty"}),
    ("gradline fit houses.csv --penalty ''", {"ridge", "lasso", "elastic_net"}),
    ("gradline fit houses.csv --nesterov --missing ''", {"error", "drop"}),
    ("gradline fit houses.csv --cov HC", {"HC0", "HC1", "HC2", "HC3"}),
    ("gradline fit houses.csv --loss q", {"quantile"}),
    ("gradline fit --no-sh", {"--no-shuffle"}),
    ("gradline fit houses.csv -o ''", FILES),
    ("gradline predict ''", MODELS),
    ("gradline predict m.safetensors h", {"houses.csv"}),
    ("gradline report m", {"m.safetensors", "my houses.csv"}),
    ("gradline serve ''", MODELS),
    ("gradline demo --out ''", {"folder"}),
    ("gradline help ev", {"evaluate"}),
    ("gradline completion ''", set(SHELLS)),
]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of each shell, named by it."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in SHELLS:
        (folder / shell).write_text(process("completion", shell).stdout)
    return folder


def shell(name: str, code: str) -> str:
    """The output of a shell that has read nothing of a user's."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    options = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}
    words = [program, *options.get(name, ["-f"]), "-c", code]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": os.getcwd(), "TERM": "dumb"},  # noqa: PTH109
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_bash_offers_them(scripts: Path) -> None:
    """By its own words: COMP_WORDS in, COMPREPLY out."""
    code = [f"source {shlex.quote(str(scripts / 'bash'))}"]
    code += ["compopt() { :; }"]  # which is of use only while Tab is pressed
    for line, _ in OFFERS:
        words = len(shlex.split(line))
        code += [
            f"COMP_WORDS=({line}); COMP_CWORD={words - 1}",
            "$(complete -p gradline | sed 's/.*-F \\([^ ]*\\).*/\\1/') && "
            "printf '%s\\t' \"${COMPREPLY[@]}\"; echo",
        ]
    told = shell("bash", "\n".join(code)).splitlines()
    found = [set(line.rstrip("\t").split("\t")) for line in told]
    assert dict(zip([line for line, _ in OFFERS], found, strict=True)) == dict(OFFERS)


def test_fish_offers_them(scripts: Path) -> None:
    code = [f"source {shlex.quote(str(scripts / 'fish'))}"]
    code += [
        f"complete -C {shlex.quote(line.removesuffix(chr(39) * 2))}; echo =="
        for line, _ in OFFERS
    ]
    parts = shell("fish", "\n".join(code)).split("==\n")[:-1]
    for (line, wanted), part in zip(OFFERS, parts, strict=True):
        found = {offer.split("\t")[0].rstrip("/") for offer in part.splitlines()}
        assert wanted <= {offer.replace("\\", "") for offer in found}, line


def test_zsh_reads_it(scripts: Path) -> None:
    folder = scripts / "functions"
    folder.mkdir(exist_ok=True)
    shutil.copy(scripts / "zsh", folder / "_gradline")
    code = (
        f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; "
        "autoload +X _gradline; print $_comps[gradline]"
    )
    assert shell("zsh", code) == "_gradline\n"
    # In brackets, a lone pattern would be taken for qualifiers.
    assert "_files -g '*.safetensors'" in (scripts / "zsh").read_text()


def test_tcsh_reads_it(scripts: Path) -> None:
    told = shell("tcsh", f"source {scripts / 'tcsh'}; complete gradline")
    assert "completion help" in told
    assert "--penalty" in told


@pytest.mark.parametrize("name", SHELLS)
def test_the_script_is_made_quickly_and_without_torch(name: str) -> None:
    code = (
        f"import sys; from gradline.cli import main; main(['completion', '{name}']); "
        "sys.exit(sorted(m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = python("-c", code)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5
    assert done.stderr == "[]\n"
    for command in COMMANDS:
        assert command in done.stdout
    assert os.sep + "python" not in done.stdout  # nothing of this machine


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(run(capsys, "completion", "bash", "--json")[1])
    assert told["shell"] == "bash"
    assert told["script"] + "\n" == run(capsys, "completion", "bash")[1]


def test_the_help_says_how_to_install_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "completion", "--help")
    for name in SHELLS:
        assert f"gradline completion {name} >" in out


def test_no_such_shell(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "completion", "ksh")
    assert (code, out) == (2, "")
    assert "invalid choice: 'ksh'" in err
    assert len(err.splitlines()) == 1


def test_an_old_shtab_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shtab

    monkeypatch.setitem(shtab._SUPPORTED_COMPLETERS, "fish", None)
    monkeypatch.delitem(shtab._SUPPORTED_COMPLETERS, "fish")
    code, out, err = run(capsys, "completion", "fish")
    assert (code, out) == (2, "")
    assert "does not know fish: pip install --upgrade shtab" in err
