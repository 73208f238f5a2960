"""The public names: sorted, complete, documented, and loaded only when asked for.

gradline/__init__.py says each name twice, for type checkers under TYPE_CHECKING and
for the interpreter in `__getattr__` (PEP 562). Here the two are held together.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import gradline
from helpers import ROOT

INIT = ROOT / "gradline" / "__init__.py"


def typed_names() -> dict[str, tuple[str, str]]:
    """What the TYPE_CHECKING block imports: public name -> (module, name there)."""
    found = {}
    for node in ast.parse(INIT.read_text(encoding="utf-8")).body:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pass
            case ast.If(test=ast.Attribute(attr="TYPE_CHECKING")):
                pass
            case _:
                continue
        for line in node.body:
            if isinstance(line, ast.ImportFrom) and line.module:
                module = f"gradline.{line.module}" if line.level else line.module
                for name in line.names:
                    found[name.asname or name.name] = (module, name.name)
    return {name: at for name, at in found.items() if at[0].startswith("gradline")}


PUBLIC = sorted(set(gradline.__all__) - {"__version__"})


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert list(gradline.__all__) == sorted(set(gradline.__all__))


def test_all_is_what_type_checkers_see() -> None:
    assert sorted(typed_names()) == PUBLIC


def test_dir_lists_the_public_names() -> None:
    assert set(gradline.__all__) <= set(dir(gradline))


@pytest.mark.parametrize("name", PUBLIC)
def test_name_comes_from_where_type_checkers_look(name: str) -> None:
    module, there = typed_names()[name]
    assert getattr(gradline, name) is getattr(importlib.import_module(module), there)


@pytest.mark.parametrize("name", PUBLIC)
def test_name_has_a_docstring(name: str) -> None:
    written = getattr(gradline, name).__doc__ or ""
    assert written.strip(), f"gradline.{name} has no docstring"
    made_by_dataclass = written.startswith(f"{name}(")
    assert not made_by_dataclass, f"gradline.{name} has no docstring of its own"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_methods_have_docstrings(name: str) -> None:
    """Their own or, where they keep a promise made elsewhere, an inherited one."""
    found = getattr(gradline, name)
    if not inspect.isclass(found) or not found.__module__.startswith("gradline"):
        return
    bare = [
        member
        for member, value in vars(found).items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property))
        and not inspect.getdoc(getattr(found, member))
    ]
    assert not bare, f"without a docstring: {name}.{', '.join(bare)}"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gradline.no_such_name  # type: ignore[attr-defined]


def test_version_is_that_of_the_package() -> None:
    assert gradline.__version__ == importlib.metadata.version("gradline")


def test_no_submodule_takes_the_place_of_a_public_name() -> None:
    """Importing gradline/fit.py binds `gradline.fit` to the module, over a function.

    A fresh interpreter imports the modules before it asks for any public name.
    """
    modules = sorted({module for module, _ in typed_names().values()})
    code = "\n".join(
        [
            "import importlib, types, gradline",
            f"for module in {modules}:",
            "    importlib.import_module(module)",
            "for name in gradline.__all__:",
            "    if isinstance(getattr(gradline, name), types.ModuleType):",
            "        print(name)",
        ]
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    hidden = run.stdout.split()
    assert not hidden, f"a module hides gradline.{hidden[0]}: {hidden}"
