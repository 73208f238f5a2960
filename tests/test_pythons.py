"""Nothing that a newer Python takes away: the sources hold to what 3.11 and 3.14 share.

Only one Python runs these tests. What the others removed, or warn of (and a warning is
an error here), is looked for in the sources instead.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import ROOT

FOLDERS = ("gradline", "tests", "benchmarks")
SOURCES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))

#: Modules that are gone, with the first Python that has them no more.
GONE = {
    **dict.fromkeys(["asynchat", "asyncore", "distutils", "imp", "smtpd"], "3.12"),
    **dict.fromkeys(["cgi", "cgitb", "crypt", "imghdr", "pipes", "telnetlib"], "3.13"),
    "pkg_resources": "setuptools 82",
}

#: Attributes that are gone or warn, by the name they stand behind.
ATTRIBUTES = {
    ("ast", "Num"): "3.14",
    ("ast", "Str"): "3.14",
    ("asyncio", "get_event_loop"): "3.14",
    ("asyncio", "iscoroutinefunction"): "3.14",
    ("codecs", "open"): "3.14",
    ("datetime", "utcfromtimestamp"): "3.12",
    ("datetime", "utcnow"): "3.12",
    ("locale", "getdefaultlocale"): "3.15",
    ("os", "fork"): "3.12 where there are threads",
    ("pkgutil", "get_loader"): "3.14",
    ("typing", "ByteString"): "3.14",
}

#: How many arguments may stand without their names.
POSITIONAL = {"sub": 3, "subn": 3, "split": 2}


def faults(source: str) -> Iterator[tuple[int, str]]:
    """What a newer Python has against a source: line and reason."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                for name in names:
                    if since := GONE.get(name.name.split(".")[0]):
                        yield node.lineno, f"{name.name} is gone since {since}"
            case ast.ImportFrom(module=str(module)):
                if since := GONE.get(module.split(".")[0]):
                    yield node.lineno, f"{module} is gone since {since}"
            case ast.Attribute(value=ast.Name(id=of), attr=name):
                if since := ATTRIBUTES.get((of, name)):
                    yield node.lineno, f"{of}.{name} warns since {since}"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=given
            ) if len(given) > POSITIONAL.get(name, 9):
                yield node.lineno, f"re.{name} warns since 3.13 of a bare number"
            case ast.Call(func=ast.Attribute(attr="rmtree"), keywords=keywords):
                if any(word.arg == "onerror" for word in keywords):
                    yield node.lineno, "rmtree(onerror=) warns since 3.12"
            case ast.Try(finalbody=body) | ast.TryStar(finalbody=body):
                for inner in (n for part in body for n in ast.walk(part)):
                    if isinstance(inner, ast.Return | ast.Break | ast.Continue):
                        yield inner.lineno, "a finally that leaves warns since 3.14"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_source_has_what_newer_pythons_lack(folder: str) -> None:
    found = []
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] == folder:
            source = path.read_text(encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # "\d" is an error to come
                compile(source, str(path), "exec")
            found += [f"{path}:{line} {why}" for line, why in faults(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import distutils.core", "gone since 3.12"),
        ("from imp import reload", "gone since 3.12"),
        ("import pkg_resources", "setuptools 82"),
        ("datetime.utcnow()", "datetime.utcnow warns"),
        ("re.sub(a, b, c, 1)", "re.sub warns"),
        ("re.split(a, b, 1)", "re.split warns"),
        ("shutil.rmtree(a, onerror=b)", "onerror"),
        (
            "def f():\n  try:\n    g()\n  finally:\n    return 1",
            "a finally that leaves",
        ),
        ("re.sub(a, b, c, count=1); shutil.rmtree(a); import importlib", None),
        ("try:\n  f()\nexcept E:\n  pass\nfinally:\n  g()", None),
    ],
)
def test_the_rule_itself(source: str, why: str | None) -> None:
    found = [reason for _, reason in faults(source)]
    assert len(found) == (why is not None)
    assert why is None or why in found[0]


def test_setup_looks_for_every_declared_python() -> None:
    """scripts/setup tries each by name, the newest first."""
    text = Path(ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    assert "python3 python3.14 python3.13 python3.12 python3.11;" in text
