"""What is uploaded: the sdist and the wheel, built here and looked into.

scripts/package names a folder of built ones by GRADLINE_DIST; otherwise they are built
from a clone of this checkout, its changes included. Nothing is fetched: the tools that
build are those of the environment.
"""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from helpers import ROOT

GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(
    GIT is None or not (ROOT / ".git").exists(), reason="not a git checkout"
)

#: No user waits for more than this, nor does the sdist carry what nobody needs.
LARGEST = {".whl": 2_000_000, ".gz": 4_000_000}


def git(*words: str, at: Path = ROOT) -> str:
    """The output of git, as somebody in particular."""
    person = [
        "-c",
        "user.name=Somebody",
        "-c",
        "user.email=somebody@localhost",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "protocol.file.allow=always",
    ]
    return subprocess.run(
        ["git", *person, *words], cwd=at, capture_output=True, text=True, check=True
    ).stdout


def tracked() -> list[str]:
    """The files that git holds or would add, and that are there."""
    listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def clone(at: Path) -> Path:
    """A checkout of the files as they are now, with a history of its own."""
    for name in tracked():
        target = at / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    git("init", "-q", at=at)
    git("add", "-A", at=at)
    git("commit", "-q", "-m", "All of it", at=at)
    return at


def build(at: Path, *words: str, without_git: bool = False) -> Path:
    """Build with the tools at hand; the folder of what came out."""
    environment = {k: v for k, v in os.environ.items() if "PRETEND" not in k}
    if without_git:
        environment["PATH"] = str(Path(sys.executable).parent)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *words],
        cwd=at,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return at / "dist"


def the_one(folder: Path, ending: str) -> Path:
    (found,) = folder.glob(f"*{ending}")
    return found


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they were built."""
    if "GRADLINE_DIST" in os.environ:
        return ROOT
    return clone(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def dist(checkout: Path) -> Path:
    """The folder with both: the sdist, and the wheel that was made from it."""
    given = os.environ.get("GRADLINE_DIST")
    return build(checkout) if given is None else Path(given)


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(the_one(dist, ".whl")) as found:
        yield found


@pytest.fixture(scope="session")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"{info(wheel)}/METADATA"))


def info(wheel: zipfile.ZipFile) -> str:
    """The folder of what the wheel says of itself."""
    (found,) = {n.split("/")[0] for n in wheel.namelist() if ".dist-info/" in n}
    return found


# What is in them.


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    wanted = [name for name in tracked() if name.startswith("gradline/")]
    told = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"]
    wanted += [f"{info(wheel)}/{name}" for name in told]
    assert sorted(wheel.namelist()) == sorted(wanted)
    for name in (
        "py.typed",
        "lab/page/index.html",
        "lab/page/main.js",
        "lab/data/rents.csv",
    ):
        assert f"gradline/{name}" in wanted  # the list itself is not empty
    for name in wanted:
        if name.startswith("gradline/"):
            assert wheel.read(name) == (ROOT / name).read_bytes(), name


def test_the_sdist_holds_what_the_tests_and_the_docs_need(dist: Path) -> None:
    with tarfile.open(the_one(dist, ".tar.gz")) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    folders = ("gradline", "tests", "docs", "benchmarks", "scripts")
    files = {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "pyproject.toml",
        "constraints.txt",
        "hatch_build.py",
        ".gitignore",
        "PKG-INFO",
    }
    wanted = files | {name for name in tracked() if name.split("/")[0] in folders}
    assert names == wanted


@pytest.mark.parametrize("ending", LARGEST)
def test_neither_is_large(dist: Path, ending: str) -> None:
    assert 100_000 < the_one(dist, ending).stat().st_size < LARGEST[ending]


def test_the_record_is_complete_and_true(wheel: zipfile.ZipFile) -> None:
    record = f"{info(wheel)}/RECORD"
    rows = list(csv.reader(io.StringIO(wheel.read(record).decode())))
    assert sorted(name for name, _, _ in rows) == sorted(wheel.namelist())
    for name, digest, size in rows:
        if name != record:
            data = wheel.read(name)
            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            assert digest == f"sha256={found.decode().rstrip('=')}", name
            assert int(size) == len(data), name


def test_the_metadata(wheel: zipfile.ZipFile, metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert metadata["Name"] == "gradline"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    extras = {"tune", "sklearn", "onnx", "hub", "tensorboard", "notebook"}
    told = set(metadata.get_all("Provides-Extra") or [])
    assert told == extras | {"dev", "bench"}
    needed = metadata.get_all("Requires-Dist") or []
    bare = {re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line}
    assert bare == {re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]}
    pythons = [
        line.rpartition(" ")[2]
        for line in metadata.get_all("Classifier") or []
        if re.search(r":: 3\.\d+$", line)
    ]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    scripts = wheel.read(f"{info(wheel)}/entry_points.txt").decode()
    assert scripts.split() == ["[console_scripts]", "gradline", "=", "gradline.cli:run"]


def test_the_declared_pythons_are_those_of_torch(metadata: Message) -> None:
    """None is declared for which torch is not made."""
    from importlib.metadata import metadata as installed

    named = re.compile(r"Python :: (3\.\d+)$").search
    ours, torchs = (
        {
            found[1]
            for line in about.get_all("Classifier") or []
            if (found := named(line))
        }
        for about in (metadata, installed("torch"))
    )
    assert ours
    assert ours <= torchs


def test_the_long_description_needs_no_file_beside_it(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = str(metadata.get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
    page = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    beside = [target for target in targets if not re.match(r"(https?:|#)", target)]
    assert beside == []
    assert "<h1>gradline</h1>" in page
    readme = (ROOT / "README.md").read_text("utf-8")
    code = re.findall(r"^```.*?^```$", readme, re.MULTILINE | re.DOTALL)
    assert code
    assert [block for block in code if block not in text] == []
    assert len(text) > 0.9 * len(readme)


def test_the_tree_gives_the_wheel_of_the_sdist_to_the_byte(
    checkout: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    build(checkout, "--wheel", "--outdir", str(tmp_path))
    again = the_one(tmp_path, ".whl")
    assert wheel.filename is not None
    assert again.name == Path(wheel.filename).name
    assert again.read_bytes() == Path(wheel.filename).read_bytes()


# Versions by tag.


def version(at: Path, **how: bool) -> str:
    """What a wheel that is built there is called."""
    shutil.rmtree(at / "dist", ignore_errors=True)
    return the_one(build(at, "--wheel", **how), ".whl").name.split("-")[1]


def test_a_tag_is_the_version(tmp_path: Path) -> None:
    at = clone(tmp_path)
    git("tag", "v1.2.3", at=at)
    assert version(at) == "1.2.3"
    with (at / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("More.\n")
    assert re.fullmatch(r"1\.2\.4\.dev0\+g\w+\.d\d{8}", version(at))  # not committed
    git("commit", "-q", "-a", "-m", "Another", at=at)
    assert re.fullmatch(r"1\.2\.4\.dev1\+g\w+", version(at))
    assert version(at, without_git=True) == "0.1.0.dev0"
    shutil.rmtree(at / ".git")
    assert version(at) == "0.1.0.dev0"


# Types.

USER = """\
import numpy as np
import gradline as gl

x, y = gl.sample_linear_data(n=10, seed=0)
fit = gl.fit(x, y)
reveal_type(fit)
reveal_type(fit.coefficients)
reveal_type(fit.intercept)
reveal_type(fit.predict(x))
reveal_type(fit.certificate.lr_limit)
reveal_type(gl.load("m.safetensors"))
reveal_type(gl.__version__)
for step in gl.descend(gl.LinearRegression(), x, y, lr=0.1, epochs=3):
    reveal_type(step.loss)
gl.fit(x, y, epochs="many")
gl.fitt(x, y)
fit.coefficient
"""


@pytest.mark.slow
def test_a_user_sees_the_types(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """mypy --strict over a script beside an installed wheel, lazily loaded or not.

    torch is left out of it, which would take mypy most of a minute.
    """
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    where = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=where))
    wheel.extractall(site)
    (site / "others.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    script = tmp_path / "user.py"
    script.write_text(USER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-torch.*]\nfollow_imports = skip\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", python, script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.findall(r"^user\.py:(\d+): (?:note|error): (.*)$", run.stdout, re.M)
    lines = USER.splitlines()
    shown = {lines[int(number) - 1].strip(): text for number, text in told}
    array = "numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.float64]]"
    types = {
        "reveal_type(fit)": "gradline.result.Fit",
        "reveal_type(fit.coefficients)": "dict[str, float]",
        "reveal_type(fit.intercept)": "float",
        "reveal_type(fit.predict(x))": array,
        "reveal_type(fit.certificate.lr_limit)": "float",
        'reveal_type(gl.load("m.safetensors"))': "gradline.result.Fit",
        "reveal_type(gl.__version__)": "str",
        "reveal_type(step.loss)": "float",
    }
    assert shown == {
        **{line: f'Revealed type is "{found}"' for line, found in types.items()},
        'gl.fit(x, y, epochs="many")': 'Argument "epochs" to "fit" has incompatible '
        'type "str"; expected "int | None"  [arg-type]',
        "gl.fitt(x, y)": 'Module has no attribute "fitt"; maybe "fit"?  [attr-defined]',
        "fit.coefficient": '"Fit" has no attribute "coefficient"; maybe '
        '"coefficients"?  [attr-defined]',
    }, run.stdout + run.stderr
