"""The server against its own description: schemathesis asks what it allows and forbids.

Every check of schemathesis is on: no server error, status codes, content types, headers
and bodies as described; what the description allows is answered with predictions, what
it forbids is refused, methods that are not described are refused with Allow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

import gradline as gl
from gradline.serving.limits import Limits
from gradline.serving.server import make_service
from servers import ARROW, running, served, stream_of

#: Examples for each operation and mode.
EXAMPLES = 25

quiet = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def plain() -> gl.Fit:
    x, y = gl.sample_linear_data(n=50, noise=0.1, seed=0)
    return gl.fit({"x": x, "y": y}, target="y")


def mixed() -> gl.Fit:
    """Numbers, texts, truth values, and numbers that are levels."""
    random = np.random.default_rng(0)
    data: dict[str, Any] = {
        "size": random.normal(100, 20, 200),
        "town": random.choice(["Ulm", "Köln", 'a "b" <c>'], 200),
        "new": random.choice([True, False], 200),
        "rooms": random.choice([1, 2, 3], 200),
    }
    data["price"] = data["size"] * 2 + data["rooms"] + random.normal(size=200)
    return gl.fit(data, target="price", categories=["rooms"])


FITS = {"plain": plain(), "mixed": mixed()}
LIMITS = Limits()

COLUMNS: dict[str, Any] = {
    "x": st.floats(-1e100, 1e100),
    "size": st.floats(-1e100, 1e100),
    "town": st.sampled_from(["Ulm", "Köln", 'a "b" <c>']),
    "new": st.booleans(),
    "rooms": st.sampled_from([1, 2, 3]),
}
NAMES = {"plain": ["x"], "mixed": ["size", "town", "new", "rooms"]}


def streams(names: list[str]) -> Any:
    """Arrow streams that the model has an answer for."""
    row = st.fixed_dictionaries({name: COLUMNS[name] for name in names})
    rows = st.lists(row, min_size=1, max_size=5)
    return rows.map(lambda r: stream_of({n: [v[n] for v in r] for n in names}))


def description(fit: gl.Fit) -> dict[str, Any]:
    """What a server of this fit says of itself; a test below holds that it does."""
    service = make_service(served(fit, LIMITS), "127.0.0.1", "http://127.0.0.1")
    found: dict[str, Any] = json.loads(service.pages.openapi)
    return found


def loaded(name: str) -> Any:
    config = SchemathesisConfig.from_dict({"seed": 1})
    return schemathesis.openapi.from_dict(description(FITS[name]), config=config)


# What an Arrow stream of a model is, schemathesis must be told, for one of them only.
schemathesis.openapi.media_type(ARROW, streams(NAMES["mixed"]))
PLAIN, MIXED = loaded("plain"), loaded("mixed")


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    with running(FITS["plain"], LIMITS) as one, running(FITS["mixed"], LIMITS) as two:
        yield {
            "plain": f"http://127.0.0.1:{one.port}",
            "mixed": f"http://127.0.0.1:{two.port}",
        }


def even(case: schemathesis.Case) -> schemathesis.Case:
    """Lists of one length, which no JSON Schema can ask for."""
    body: Any = case.body
    right = case.meta is None or case.meta.generation.mode.is_positive
    if right and isinstance(body, dict) and "columns" in body:
        shortest = min(map(len, body["columns"].values()))
        columns = {name: v[:shortest] for name, v in body["columns"].items()}
        case.body = body | {"columns": columns}
    return case


@PLAIN.exclude(path="/predict/arrow").parametrize()
@quiet
def test_one_number(case: schemathesis.Case, addresses: dict[str, str]) -> None:
    even(case).call_and_validate(base_url=addresses["plain"])


@MIXED.parametrize()
@quiet
def test_categories(case: schemathesis.Case, addresses: dict[str, str]) -> None:
    even(case).call_and_validate(base_url=addresses["mixed"])
