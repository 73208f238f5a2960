"""`gradline serve`: right numbers, and nothing a stranger sends does any harm."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.api as sm
import torch

import gradline as gl
from gradline.listening import bound
from gradline.serving import parsing
from gradline.serving import server as server_file
from gradline.serving.limits import Limits
from gradline.serving.predictor import Predictor
from gradline.serving.wishes import Options
from servers import ARROW, JSON, Client, Process, Running, running, stream_of

LEVELS = ["Ulm", "Köln", 'a "b" <c>']


def table(rows: int = 120) -> dict[str, Any]:
    random = np.random.default_rng(0)
    found: dict[str, Any] = {
        "size": random.uniform(30, 200, rows).round(1),
        "age": random.uniform(1, 90, rows).round(),
        "town": random.choice(LEVELS, rows),
        "new": random.choice([True, False], rows),
        "rooms": random.choice([1, 2, 3], rows),
    }
    noise = random.normal(size=rows)
    found["price"] = found["size"] * 2 + found["age"] + found["rooms"] + noise
    return found


DATA = table()
NEW = {k: v[:7] for k, v in table(31).items() if k != "price"}

FITS: dict[str, gl.Fit] = {
    "numbers": gl.fit(DATA, target="price", features=["size", "age"]),
    "levels": gl.fit(DATA, target="price", categories=["rooms"]),
    "through zero": gl.fit(DATA, target="price", intercept=False),
    "degree": gl.fit(DATA, target="price", features=["size", "age"], degree=3),
    "formula": gl.fit(
        DATA, formula="log(price) ~ size * C(town) + poly(age, 2) + C(rooms) + rooms"
    ),
    "ridge": gl.fit(DATA, target="price", penalty="ridge", alpha=0.1),
}
FIT = FITS["levels"]
ROW = {"size": 100.0, "age": 30.0, "town": "Ulm", "new": True, "rooms": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(FIT) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    found = server.client()
    yield found
    found.close()


def plain(values: Any) -> list[Any]:
    return [v.item() if isinstance(v, np.generic) else v for v in values]


def columns_of(fit: gl.Fit, data: dict[str, Any] = NEW) -> dict[str, list[Any]]:
    return {name: plain(data[name]) for name in fit.design.features}


def rows_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [
        dict(zip(columns, v, strict=True)) for v in zip(*columns.values(), strict=True)
    ]


# The numbers.


@pytest.mark.parametrize("name", FITS)
def test_answers_are_those_of_predict_to_the_last_bit(name: str) -> None:
    fit = FITS[name]
    columns = columns_of(fit)
    expected = fit.predict({n: NEW[n] for n in columns})
    with running(fit) as server:
        client = server.client()
        for request in ({"columns": columns}, {"rows": rows_of(columns)}):
            found = client.predict(request)
            assert found.status == 200, found.body
            assert found.json["target"] == fit.target
            assert found.json["predictions"] == expected.tolist()
        for row, value in zip(rows_of(columns), expected, strict=True):
            one = client.predict({"row": row}).json["predictions"]
            np.testing.assert_allclose(one, [value], rtol=1e-12)
        answer = client.stream({n: NEW[n] for n in columns})
        assert answer.table.column("prediction").to_pylist() == expected.tolist()
        mixed = client.predict({"columns": columns}, Accept=ARROW)
        assert mixed.table.column("prediction").to_pylist() == expected.tolist()
        back = client.stream({n: NEW[n] for n in columns}, Accept=JSON)
        assert back.json["predictions"] == expected.tolist()
        client.close()


@pytest.mark.parametrize("kind", ["prediction", "confidence"])
def test_intervals(client: Client, kind: str) -> None:
    columns = columns_of(FIT)
    expected = FIT.predict({n: NEW[n] for n in columns}, interval=0.9, kind=kind)
    request = {"columns": columns, "interval": 0.9, "kind": kind}
    found = client.predict(request).json
    assert (found["interval"], found["kind"]) == (0.9, kind)
    answer = client.stream({n: NEW[n] for n in columns}, f"?interval=0.9&kind={kind}")
    for part, name in zip(expected, ("predictions", "low", "high"), strict=True):
        assert found[name] == part.tolist()
        column = "prediction" if name == "predictions" else name
        assert answer.table.column(column).to_pylist() == part.tolist()
    unless_told = client.predict({"columns": columns, "kind": kind}).json
    assert unless_told["interval"] == 0.95


def test_intervals_are_those_of_statsmodels() -> None:
    x, y = DATA["size"], DATA["price"]
    theirs = sm.OLS(y, sm.add_constant(x)).fit()
    frame = theirs.get_prediction(np.array([[1, 50.0], [1, 170.0]])).summary_frame(0.1)
    with running(gl.fit({"size": x, "price": y}, target="price")) as server:
        client = server.client()
        request = {"columns": {"size": [50, 170.0]}, "interval": 0.9}
        found = client.predict(request).json
        np.testing.assert_allclose(found["predictions"], frame["mean"], rtol=1e-10)
        np.testing.assert_allclose(found["low"], frame["obs_ci_lower"], rtol=1e-10)
        np.testing.assert_allclose(found["high"], frame["obs_ci_upper"], rtol=1e-10)
        client.close()


@pytest.mark.parametrize("name", ["numbers", "ridge", "text", "text through zero"])
@pytest.mark.parametrize("rows", [1, 2, 16])
def test_the_shortest_way_gives_the_same_bits(name: str, rows: int) -> None:
    texts = {"target": "price", "features": ["town", "size", "age"]}
    fit = {
        "numbers": FITS["numbers"],
        "ridge": gl.fit(DATA, **texts, penalty="ridge", alpha=0.1),
        "text": gl.fit(DATA, **texts),
        "text through zero": gl.fit(DATA, **texts, intercept=False),
    }[name]
    data = {n: DATA[n][:rows] for n in fit.design.features}
    columns = {n: plain(v) for n, v in data.items()}
    predictor = Predictor(fit)
    found = predictor.predict_few(columns, rows, Options())
    assert found is not None
    np.testing.assert_array_equal(found[0], fit.predict(data))
    assert predictor._quick is not None
    batch = next(iter(fit.open(data).batches(fit.design.features)))
    X, _ = fit.design.matrix(batch)
    np.testing.assert_array_equal(predictor._quick.terms(columns, rows), X)
    if fit.no_inference is None:
        ends = predictor.predict_few(columns, rows, Options(interval=0.8))
        assert ends is not None
        np.testing.assert_array_equal(ends[0], fit.predict(data, interval=0.8))
    for odd in (None, True, "x", [], 10**20, 1e101, float("nan")):
        changed = columns | {"size": [odd, *columns["size"][1:]]}
        assert predictor.predict_few(changed, rows, Options()) is None
    assert predictor.predict_few({n: v * 17 for n, v in columns.items()}, 17 * rows,
                                 Options()) is None  # fmt: skip
    assert Predictor(FITS["formula"]).predict_few(columns, rows, Options()) is None


def test_many_rows_go_in_pieces_and_come_in_order(client: Client) -> None:
    rows = 10_000
    random = np.random.default_rng(1)
    data: dict[str, Any] = {
        "size": random.uniform(0, 200, rows),
        "age": random.uniform(0, 90, rows),
        "town": random.choice(LEVELS, rows),
        "new": random.choice([True, False], rows),
        "rooms": random.choice([1, 2, 3], rows),
    }
    expected = FIT.predict(data)
    columns = {name: plain(values) for name, values in data.items()}
    for request in ({"columns": columns}, {"rows": rows_of(columns)}):
        found = client.predict(request).json["predictions"]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = client.stream(data).table.column("prediction")
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)
    columns["town"][7_000] = "Rom"
    answer = client.predict({"columns": columns})
    assert answer.status == 422
    assert "'Rom' in row 7,001, a level the model has not seen" in answer.detail
    data["size"][9_000] = np.nan
    answer = client.stream(data)
    assert answer.detail.startswith(
        "Column 'size' has a missing value, first in row 9,0"
    )


def test_missing_values(client: Client) -> None:
    rows = [ROW, {**ROW, "size": None}, {**ROW, "town": None}, {**ROW, "rooms": None}]
    answer = client.predict({"rows": rows})
    assert answer.status == 422
    assert answer.detail == (
        "Column 'size' has a missing value, first in row 2: fill it in, or predict "
        'nothing there with "missing": "nan"'
    )
    found = client.predict({"rows": rows, "missing": "nan", "interval": 0.5}).json
    for name in ("predictions", "low", "high"):
        assert found[name][0] is not None
        assert found[name][1:] == [None, None, None]
    data = pa.table({n: [row[n] for row in rows] for n in ROW})
    assert client.stream(data).status == 422
    answer = client.stream(data, "?missing=nan")
    assert answer.table.column("prediction").to_pylist() == found["predictions"]


def test_levels_are_named_as_in_the_fit(client: Client) -> None:
    expected = client.predict({"row": ROW}).json["predictions"]
    same = [
        {"rooms": "2"}, {"rooms": 2.0}, {"new": "True"}, {"new": "true"},
        {"size": 100}, {"age": 3e1},
    ]  # fmt: skip
    for change in same:
        assert client.predict({"row": ROW | change}).json["predictions"] == expected
    for change in ({"rooms": 2.5}, {"rooms": True}, {"new": "yes"}, {"new": 1}):
        answer = client.predict({"row": ROW | change})
        assert answer.status == 422, change
        assert "a level the model has not seen" in answer.detail


def test_arrow_from_pandas_polars_and_in_every_dress(client: Client) -> None:
    columns = {n: NEW[n] for n in FIT.design.features}
    expected = FIT.predict(columns).tolist()

    def predicted(data: Any) -> Any:
        answer = client.stream(data)
        assert answer.status == 200, answer.body
        found = answer.table.column("prediction").to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-13)  # batches may differ
        return expected

    frame = pd.DataFrame(columns)
    assert predicted(pa.Table.from_pandas(frame)) == expected
    frame["town"] = frame["town"].astype("category")
    assert predicted(pa.Table.from_pandas(frame)) == expected
    written = io.BytesIO()
    pl.DataFrame(columns).write_ipc_stream(written)  # texts as views
    assert predicted(written.getvalue()) == expected
    base = pa.table(columns)
    texts = base.column("town")
    for dress in (
        texts.dictionary_encode(),
        texts.cast(pa.large_string()),
        texts.cast(pa.string_view()),
        pa.chunked_array([texts.chunk(0).dictionary_encode().cast(
            pa.dictionary(pa.uint8(), pa.large_string()))]),
    ):  # fmt: skip
        assert predicted(base.set_column(2, "town", dress)) == expected
    rooms = base.column("rooms")
    for kind in (
        pa.int8(),
        pa.uint64(),
        pa.float64(),
        pa.string(),
        pa.decimal128(21, 2),
    ):
        assert predicted(base.set_column(4, "rooms", rooms.cast(kind))) == expected
    coded = rooms.cast(pa.float64()).dictionary_encode()
    assert predicted(base.set_column(4, "rooms", coded)) == expected
    parts = [base.slice(i, 2) for i in range(0, 7, 2)]
    assert predicted(pa.concat_tables(parts)) == expected
    assert predicted(base.select(["rooms", "new", "town", "age", "size"])) == expected


def test_arrow_numbers_in_a_dictionary_are_numbers(client: Client) -> None:
    columns = pa.table({n: NEW[n] for n in FIT.design.features})
    expected = FIT.predict(columns)
    for kind in (pa.float64(), pa.float32(), pa.int64()):
        sizes = columns.column("age").cast(kind).dictionary_encode()
        answer = client.stream(columns.set_column(1, "age", sizes))
        assert answer.status == 200, answer.body
        found = answer.table.column("prediction").to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    texts = columns.column("town").dictionary_encode()
    answer = client.stream(columns.set_column(1, "age", texts))
    assert (answer.status, "fitted on numbers" in answer.detail) == (422, True)


def test_the_index_of_a_frame_is_no_column(client: Client) -> None:
    frame = pd.DataFrame({n: NEW[n] for n in FIT.design.features})
    expected = FIT.predict(frame).tolist()
    for index in (
        pd.Index(range(10, 17)).astype(str),
        pd.Index([3, 1, 2, 7, 5, 6, 4], name="id"),
        pd.date_range("2024-01-01", periods=7, name="day"),
        pd.MultiIndex.from_product([["a"], range(7)]),
    ):
        table = pa.Table.from_pandas(frame.set_index(index))
        assert table.num_columns > len(frame.columns)
        answer = client.stream(table)
        assert answer.status == 200, answer.body
        found = answer.table.column("prediction").to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    whole = pa.table(frame)
    answer = client.stream(whole.append_column("id", pa.array(range(7))))
    assert "'id', which is no column" in answer.detail
    for told in (b"", b"[", b'{"index_columns": 3}', b"[" * 50_000, b"\xff"):
        named = whole.replace_schema_metadata({b"pandas": told})
        assert client.stream(named).status == 200
    nested = pa.array([[1]] * 7)
    answer = client.stream(whole.append_column("__index_level_0__", nested))
    assert answer.status == 422


def test_one_stream_and_nothing_behind_it(client: Client) -> None:
    one = stream_of({n: NEW[n] for n in FIT.design.features})
    assert client.stream(one).status == 200
    for more in (one, b"\0", b"garbage", one[:8]):
        answer = client.stream(one + more)
        assert answer.status == 400
        assert "omething follows the Arrow stream" in answer.detail


def test_missing_values_are_asked_for_where_options_are(client: Client) -> None:
    row = {**{n: [v] for n, v in ROW.items()}, "size": pa.array([None], pa.float64())}
    assert "?missing=nan" in client.stream(row).detail
    detail = client.predict({"row": {**ROW, "size": None}}).detail
    assert '"missing": "nan"' in detail
    assert "?missing" not in detail


def test_a_target_may_name_the_host(client: Client) -> None:
    """RFC 9112, 3.2.2: what a client of a proxy sends."""
    port = client.port
    for name in (f"http://127.0.0.1:{port}", f"HTTP://LOCALHOST:{port}"):
        assert client.ask("GET", f"{name}/readyz").status == 200
        assert client.ask("GET", name).headers["content-type"].startswith("text/html")
    body = json.dumps({"row": ROW})
    path = f"http://localhost:{port}/predict"
    found = client.ask("POST", path, body, {"Content-Type": JSON})
    assert found.json == client.predict({"row": ROW}).json
    for path in ("http://evil.example/readyz", "http://a@localhost/", "http:///readyz"):
        answer = client.ask("GET", path, None, {"Host": "localhost"})
        assert answer.status == 421
        assert "the address names another server" in answer.detail.lower()
    assert client.ask("GET", "ftp://localhost/readyz").status == 404


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        b"Content-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        b"\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_all_else(client: Client, head: bytes) -> None:
    """h11 finds these; they are told alike, and counted."""

    def count() -> float:
        found = re.search(
            r'requests_total\{method="other",route="other",status="400"\} (\S+)',
            metrics(client),
        )
        return float(found[1]) if found else 0.0

    before = count()
    with socket.create_connection(("127.0.0.1", client.port), 10) as line:
        line.sendall(head)
        got = http.client.HTTPResponse(line)
        got.begin()
        headers = {k.lower(): v for k, v in got.getheaders()}
        problem = json.loads(got.read())
        assert line.recv(10) == b""
    assert got.status == problem["status"] == 400
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert "is no HTTP/1.1" in problem["detail"]
    assert count() == before + 1


def test_a_model_without_intervals_says_why() -> None:
    data = {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 3.0]}
    fit = gl.fit(data, target="y", method="gd", lr=0.01, epochs=3, seed=0)
    assert fit.no_inference is not None
    with running(fit) as server:
        client = server.client()
        answer = client.predict({"row": {"x": 1.0}, "interval": 0.9})
        assert answer.status == 422
        assert answer.detail.startswith("No standard errors for a fit that is not_conv")
        assert client.predict({"row": {"x": 1.0}}).status == 200
        told = client.ask("GET", "/model").json
        assert (told["intervals"], told["no_intervals"]) == (False, fit.no_inference)
        described = client.ask("GET", "/openapi.json").json
        first = described["components"]["schemas"]["Request"]["anyOf"][0]
        assert "interval" not in first["properties"]
        client.close()


# JSON that is none, or not meant for this.

LONG = "x" * 5000

BAD: list[tuple[bytes | Any, int, str]] = [
    (b"", 400, "is no JSON"),
    (b"{", 400, "is no JSON"),
    (b"nonsense", 400, "is no JSON"),
    (b"\xff\xfe{}", 400, "no UTF-8 from byte 0"),
    (b"\xef\xbb\xbf{}", 400, "is no JSON"),
    (b'{"interval": 0.5} x', 400, "Extra data"),
    (b'{"interval": 0.5}{}', 400, "Extra data"),
    (b'{"row": {"size": 1,}}', 400, "is no JSON"),
    (b"{'row': 1}", 400, "is no JSON"),
    (b'{"rows": [{}', 400, "is no JSON"),
    (b'{"rows": [{} {}]}', 400, "Expecting ','"),
    (b'{"row" {}}', 400, "Expecting ':'"),
    (b'{1: {}}', 400, "Expecting a name"),
    (b'{"row": NaN}', 400, "has NaN, which is no JSON"),
    (b'{"row": {"size": Infinity}}', 400, "has Infinity"),
    (b'{"row": {"size": -Infinity}}', 400, "has -Infinity"),
    (b'{"row": {"size": 01}}', 400, "is no JSON"),
    (b'{"row": {"size": +1}}', 400, "is no JSON"),
    (b'{"row": {"size": 0x10}}', 400, "is no JSON"),
    (b'{"row": {"size": "a\x01"}}', 400, "is no JSON"),
    (b'{"row": {"size": 1, "size": 2}}', 400, "has 'size' twice"),
    ({"row": ROW, "rows": [ROW]}, 400, "several of row, rows and columns"),
    (b'{"interval": 0.9, "interval": 0.9}', 400, "has 'interval' twice"),
    (b'{"columns": {"size": [1], "size": [1]}}', 400, "has 'size' twice"),
    (b"[" * 40, 400, "is no JSON"),
    (b'{"row": ' + b"[" * 80 + b"]" * 80 + b"}", 400, "row is no object"),
    (b"[" * 200_000, 413, "more than 100,000 rows"),
    (b'{"row": {"size": [' + b"1," * 1_300_000 + b"1]}}", 413, "or as many values"),
    (b'{"row": ' + b'{"a":' * 90_000, 400, "nested too deeply"),
    (b'{"row": {"size": ' + b"9" * 5000 + b"}}", 400, "thousands of digits"),
    ([], 400, "no JSON object"),
    ("text", 400, "no JSON object"),
    (None, 400, "no JSON object"),
    ({}, 400, "has no rows"),
    ({"data": []}, 400, "'data', which is not known"),
    ({LONG: 1}, 400, "'" + "x" * 80 + "...', which is not known"),
    ({"row": []}, 400, "row is no object"),
    ({"row": 1, "rows": []}, 400, "row is no object"),
    ({"rows": {}}, 400, "rows is no list"),
    ({"rows": [1]}, 400, "row 1 is no object"),
    ({"rows": [ROW, None]}, 400, "row 2 is no object"),
    ({"rows": []}, 422, "has no rows: give one at least"),
    ({"columns": []}, 400, "columns is no object"),
    ({"columns": {"size": 1}}, 400, "column 'size' is no list"),
    ({"columns": {}}, 422, "columns have no 'size'"),
    ({"columns": {n: [] for n in ROW}}, 422, "has no rows"),
    ({"columns": {n: [v] * (1 + (n == "age")) for n, v in ROW.items()}}, 422,
     "column 'age' has 2 values and 'size' has 1"),
    (b'{"row": {}}//', 400, "is no JSON"),
    (b'{"row": {}, "row": {}}', 400, "has 'row' twice"),
    (b'{"rows": [{}, {"size": 1, "size": 2}]}', 400, "has 'size' twice"),
    (b'{"rows": [{}, {"size": NaN}]}', 400, "has NaN, which is no JSON"),
    (b'{"rows": []} {}', 400, "is no JSON"),
    (b'{"columns": {"sice": [1], "size": [1], "size": [1]}}', 400, "'size' twice"),
    (b'{"columns": {"size": []}', 400, "is no JSON"),
    ({"row": {}, "interval": 2}, 400, "interval is '2': give the share"),
    ({"row": {}}, 422, "row 1 has no 'size': give all of 'size', 'age', 'town'"),
    ({"rows": [ROW, {**ROW, "sice": 1}]}, 422, "row 2 has 'sice', which is no column "
     "of the model: leave it out; did you mean 'size'?"),
    ({"row": {**ROW, "price": 1}}, 422, "has 'price', which is no column"),
    ({"row": {**ROW, LONG: 1}}, 422, "...', which is no column of the model"),
    ({"row": {**ROW, "size": "7"}}, 422, "column 'size' holds '7' in row 1: give a"),
    ({"row": {**ROW, "size": True}}, 422, "holds 'true' in row 1: give a number"),
    ({"row": {**ROW, "size": [1]}}, 422, "holds '[1]' in row 1"),
    ({"row": {**ROW, "size": {"a": LONG}}}, 422, "in row 1: give a number"),
    ({"row": {**ROW, "town": ["Ulm"]}}, 422, "in row 1: give a level"),
    ({"row": {**ROW, "town": "ulm"}}, 422, "'ulm' in row 1, a level the model has not"),
    ({"row": {**ROW, "town": LONG}}, 422, "..."),
    ({"row": {**ROW, "town": "\ud800"}}, 422, "a level the model has not seen"),
    ({"row": {**ROW, "\ud800": 1}}, 422, "which is no column"),
    (b'{"row": {"size": 1e999, "age": 1, "town": "Ulm", "new": true, "rooms": 1}}', 422,
     "column 'size' is inf in row 1: give numbers between -1e+100 and 1e+100"),
    ({"row": {**ROW, "size": 10**400}}, 422, "holds a number of 401 digits"),
    ({"row": {**ROW, "size": 1e101}}, 422, "is 1e+101 in row 1"),
    ({"row": {**ROW, "size": 12345678901234567891}}, 422,
     "holds '12345678901234567891', a whole number of more digits than float64 has"),
    ({"row": ROW, "interval": 0}, 400, "interval is '0': give the share"),
    ({"row": ROW, "interval": 1}, 400, "interval is '1'"),
    ({"row": ROW, "interval": True}, 400, "interval is 'true'"),
    ({"row": ROW, "interval": "0.9"}, 400, "interval is '0.9'"),
    ({"row": ROW, "interval": None}, 400, "interval is 'null'"),
    ({"row": ROW, "kind": "both"}, 400, "kind is 'both': give \"prediction\" or"),
    ({"row": ROW, "kind": ["prediction"]}, 400, "kind is"),
    ({"row": ROW, "missing": "drop"}, 400, "missing is 'drop': give \"error\" or"),
]  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("request_", "status", "text"), BAD)
def test_a_bad_request_is_refused_in_a_sentence(
    client: Client,
    request_: Any,
    status: int,
    text: str,
    whole: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not whole:  # row by row, as large ones are
        monkeypatch.setattr(parsing, "WHOLE", 0)
    answer = client.predict(request_)
    assert text.lower() in answer.detail.lower()
    assert answer.status == status
    assert len(answer.detail) < 700
    assert "Traceback" not in answer.detail
    assert client.predict({"row": ROW}).status == 200


@pytest.mark.parametrize(
    "text",
    ["9007199254740992", "9007199254740994", "12345678901234567000", "1" + "0" * 22],
)
def test_whole_numbers_as_javascript_writes_them(client: Client, text: str) -> None:
    row = json.dumps(ROW).replace("100.0", text)
    found = client.predict(f'{{"row": {row}}}'.encode()).json["predictions"]
    expected = FIT.predict(
        {n: [float(text) if n == "size" else v] for n, v in ROW.items()}
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# Arrow that is none, or a trap.

GOOD = {n: [v, v] for n, v in ROW.items()}


def test_every_cut_of_a_stream_is_refused(client: Client) -> None:
    whole = stream_of(GOOD)
    assert client.stream(whole).status == 200
    for end in range(0, len(whole) - 8, 7):
        answer = client.stream(whole[:end])
        assert answer.status in (400, 422), end
        assert "Traceback" not in answer.detail


def test_damaged_streams_do_no_harm(client: Client) -> None:
    whole = stream_of(pa.table(GOOD).set_column(
        2, "town", pa.chunked_array([pa.array(["Ulm", "Ulm"]).dictionary_encode()])
    ))  # fmt: skip
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 1 + random.integers(3)):
            damaged[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        answer = client.stream(bytes(damaged))
        seen.add(answer.status)
        assert answer.status in (200, 400, 413, 415, 422), answer.body
    assert {200, 400} <= seen
    assert client.stream(whole).status == 200


def one_column(kind: Any, values: Any) -> pa.Table:
    return pa.table(GOOD).set_column(0, "size", pa.array(values, kind))


TRAPS = [
    (lambda: stream_of(GOOD, options=pa.ipc.IpcWriteOptions(compression="zstd")), 415,
     "The stream is compressed"),
    (lambda: stream_of(GOOD, options=pa.ipc.IpcWriteOptions(compression="lz4")), 415,
     "The stream is compressed"),
    (lambda: stream_of(one_column(pa.list_(pa.float64()), [[1.0], [2.0]])), 422,
     "is of type list<"),
    (lambda: stream_of(one_column(pa.struct([("a", pa.int8())]), [{"a": 1}] * 2)), 422,
     "is of type struct<"),
    (lambda: stream_of(one_column(pa.binary(), [b"1"] * 2)), 422, "is of type binary"),
    (lambda: stream_of(one_column(pa.date32(), [1, 2])), 422, "is of type date32"),
    (lambda: stream_of(one_column(pa.string(), ["1", "2"])), 422,
     "Column 'size' of the request holds text, such as '1'"),
    (lambda: stream_of(one_column(pa.float64(), [1.0, np.inf])), 422,
     "Column 'size' is infinite, first in row 2"),
    (lambda: stream_of(one_column(pa.int64(), [2**53 + 3, 1])), 422,
     "a whole number of more digits than float64 has"),
    (lambda: stream_of(one_column(pa.null(), [None] * 2)), 422, "has a missing value"),
    (lambda: stream_of({n: v for n, v in GOOD.items() if n != "age"}), 422,
     "The stream has no column 'age'"),
    (lambda: stream_of(GOOD | {"price": [1, 2]}), 422, "'price', which is no column"),
    (lambda: stream_of(pa.table([[1.0], [1.0]], ["size", "size"])), 422,
     "two columns 'size'"),
    (lambda: stream_of(pa.table(GOOD).slice(0, 0)), 422, "The stream has no rows"),
    (lambda: stream_of({n: v * 50_001 for n, v in GOOD.items()}), 413,
     "more than 100,000 rows"),
    (lambda: stream_of(pa.table(GOOD).slice(0, 1))[:-8] * 2, 400, "no whole Arrow"),
    (lambda: file_of(GOOD), 400, "no whole Arrow stream"),
    (lambda: b"", 400, "no whole Arrow stream"),
    (lambda: b"\xff\xff\xff\xff\0\0\0\0", 400, "no whole Arrow stream"),
    (lambda: b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 9, 400, "no whole Arrow stream"),
    (lambda: json.dumps({"row": ROW}).encode(), 400, "no whole Arrow stream"),
    (lambda: endless_nulls(), 413, "more than 100,000 rows"),
    (lambda: stream_of({f"c{i}": [1] for i in range(5000)}), 400, "no whole Arrow"),
]  # fmt: skip


def file_of(data: dict[str, Any]) -> bytes:
    found = pa.table(data)
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, found.schema) as writer:
        writer.write_table(found)
    return sink.getvalue()


def endless_nulls() -> bytes:
    """A column of nulls takes no bytes, however many rows it says it has."""
    batch = pa.RecordBatch.from_arrays([pa.nulls(77_777)], ["size"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    told, more = struct.pack("<q", 77_777), struct.pack("<q", 2**40)
    assert told in sink.getvalue()
    return sink.getvalue().replace(told, more)


@pytest.mark.parametrize(("make", "status", "text"), TRAPS)
def test_a_bad_stream_is_refused_in_a_sentence(
    client: Client, make: Any, status: int, text: str
) -> None:
    answer = client.stream(make())
    assert text.lower() in answer.detail.lower()
    assert answer.status == status
    assert client.stream(GOOD).status == 200


def test_a_long_text_that_many_rows_name_is_not_copied_for_each(client: Client) -> None:
    rows = 90_000
    long = "y" * 5_000_000
    columns: dict[str, Any] = {n: pa.array([v] * rows) for n, v in ROW.items()}
    codes = pa.array(np.zeros(rows, dtype=np.int8))
    columns["town"] = pa.DictionaryArray.from_arrays(codes, [long])
    before = pa.total_allocated_bytes()
    answer = client.stream(columns)
    assert answer.status == 422
    assert "a level the model has not seen" in answer.detail
    assert len(answer.detail) < 700
    # Views that all name the same text: 16 bytes each, and 450 GB in all.
    view = struct.pack("<i4sii", len(long), b"yyyy", 0, 0)
    buffers = [None, pa.py_buffer(view * rows), pa.py_buffer(long.encode())]
    columns["town"] = pa.Array.from_buffers(pa.string_view(), rows, buffers)
    answer = client.stream(columns)
    assert (answer.status, answer.detail[:30]) == (
        413,
        "The texts of the stream are to",
    )
    del columns, codes
    assert pa.total_allocated_bytes() - before < 100_000_000


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?interval=2", "interval is '2.0'"),
        ("?interval=nan", "interval is 'nan'"),
        ("?interval=0.9&interval=0.8", "interval twice"),
        ("?interval=", "interval is ''"),
        ("?kind=x", "kind is 'x'"),
        ("?missing=drop", "missing is 'drop'"),
        ("?intervall=0.9", "'intervall', which is not known"),
        ("?interval", "cannot be read"),
        ("?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1", "cannot be read"),
        ("?interval=%ff", "cannot be read"),
    ],
)
def test_a_bad_query_is_refused(client: Client, query: str, text: str) -> None:
    answer = client.stream(GOOD, query)
    assert answer.status == 400
    assert text in answer.detail.lower()


# HTTP.


def test_what_is_told(client: Client) -> None:
    for path in ("/model", "/openapi.json", "/healthz", "/readyz"):
        answer = client.ask("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, JSON)
        head = client.ask("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.body))
    told = client.ask("GET", "/model").json
    assert told["coefficients"] == FIT.coefficients
    assert told["intercept"] == FIT.intercept
    assert told["certificate"]["status"] == "exact"
    assert told["features"][2] == {
        "name": "town", "kind": "category", "levels": sorted(LEVELS)
    }  # fmt: skip
    assert client.ask("GET", "/healthz").json == {"status": "ok"}
    assert client.ask("GET", "/readyz").json == {"status": "ready"}


def test_the_page_needs_nothing_else_and_its_example_works(
    client: Client, server: Running
) -> None:
    answer = client.ask("GET", "/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in answer.headers["content-security-policy"]
    text = answer.body.decode()
    assert client.ask("GET", "/docs").body == answer.body
    assert "<script" not in text
    assert "<c>" not in text  # the name of a level
    assert not re.search(r'(src|href)="(?!/)', text)
    assert f"http://127.0.0.1:{server.port}/predict" in text
    described = client.ask("GET", "/openapi.json").json
    media = described["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]
    assert client.predict(media["example"]).status == 200


def test_paths_and_methods(client: Client) -> None:
    answer = client.ask("GET", "/nope/../../etc/passwd")
    assert answer.status == 404
    assert answer.detail.startswith("There is nothing here")
    for path, allow in [
        ("/predict", "POST, OPTIONS"),
        ("/model", "GET, HEAD, OPTIONS"),
    ]:
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW"):
            answer = client.ask(method, path)
            assert (answer.status, answer.headers["allow"]) == (405, allow)
        answer = client.ask("OPTIONS", path)
        assert (answer.status, answer.headers["allow"], answer.body) == (
            204,
            allow,
            b"",
        )
    assert client.ask("HEAD", "/predict").status == 405
    assert client.ask("POST", "/model", b"x").status == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "Application/JSON"}, 200),
        ({"Content-Type": 'application/json; charset="UTF-8"'}, 200),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": ARROW}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity"}, 200),
        ({"Accept": "application/json"}, 200),
        ({"Accept": "text/html, */*;q=0.1"}, 200),
        ({"Accept": "application/*"}, 200),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "application/json;q=0"}, 406),
        ({"Accept": "*/*, application/json;q=0"}, 200),  # then Arrow it is
        ({"Accept": "application/json;q=nan"}, 406),
        ({"Accept": ", ;"}, 406),
    ],
)
def test_types(client: Client, headers: dict[str, str], status: int) -> None:
    answer = client.predict({"row": ROW}, **headers)
    assert answer.status == status
    if status == 415:
        assert client.predict({"row": ROW}).status == 200
    if headers.get("Accept", "").startswith("*/*,"):
        assert answer.table.num_rows == 1


def test_a_request_has_its_options_in_one_place(client: Client) -> None:
    body = json.dumps({"row": ROW})
    answer = client.ask("POST", "/predict?interval=0.9", body, {"Content-Type": JSON})
    assert answer.status == 400
    assert "put interval, kind and missing into the body" in answer.detail


def test_hosts_and_origins(client: Client, server: Running) -> None:
    own = f"127.0.0.1:{server.port}"
    for host in (own, "localhost", "[::1]:9", "127.0.0.2"):
        assert client.ask("GET", "/healthz", headers={"Host": host}).status == 200
    for host in (
        "evil.example",
        "10.0.0.1",
        f"localhost.evil.example:{server.port}",
        "x@",
    ):
        answer = client.ask("GET", "/healthz", headers={"Host": host})
        assert answer.status == 421
        assert "names another server" in answer.detail
    assert client.predict({"row": ROW}, Origin=f"http://{own}").status == 200
    for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1"):
        answer = client.predict({"row": ROW}, Origin=origin)
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
        client.close()


def test_further_hosts_and_origins() -> None:
    shop = "https://shop.example"
    more: dict[str, Any] = {"hosts": ("predict.example",), "origins": (shop,)}
    with running(FIT, **more) as server:
        client = server.client()
        headers = {"Host": "predict.example"}
        assert client.ask("GET", "/healthz", headers=headers).status == 200
        assert client.ask("GET", "/healthz", headers={"Host": "a.b"}).status == 421
        answer = client.predict({"row": ROW}, Origin=shop)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == shop
        assert answer.headers["vary"] == "origin"
        asked = {"Origin": shop, "Access-Control-Request-Method": "POST"}
        answer = client.ask("OPTIONS", "/predict", headers=asked)
        assert answer.status == 204
        assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
        assert "content-type" in answer.headers["access-control-allow-headers"]
        assert client.predict({"row": ROW}, Origin=shop + ".evil").status == 403
        client.close()
    with running(FIT, host="0.0.0.0") as server:
        client = server.client()
        for host, status in (("10.1.2.3:8000", 200), ("evil.example", 421)):
            answer = client.ask("GET", "/healthz", headers={"Host": host})
            assert answer.status == status
        client.close()


def test_headers_of_every_answer(client: Client) -> None:
    for method, path in [("GET", "/"), ("GET", "/x"), ("GET", "/model"), ("PUT", "/")]:
        headers = client.ask(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


# Bounds.

SMALL = Limits(body=2000, rows=5, seconds=1.0, concurrency=2)


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    with running(FIT, SMALL) as found:
        yield found


def test_too_many_rows(small: Running) -> None:
    client = small.client()
    many: list[Any] = [
        {"rows": [ROW] * 6},
        {"columns": {n: [v] * 6 for n, v in ROW.items()}},
    ]
    for request in many:
        answer = client.predict(request)
        assert answer.status == 413
        assert answer.detail.startswith(
            "The body has more than 5 rows, or as many values"
        )
    assert client.predict({"rows": [ROW] * 5}).status == 200
    answer = client.stream({n: [v] * 6 for n, v in ROW.items()})
    assert answer.status == 413
    client.close()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [2_001, 3_000_000])
def test_too_large_a_body(small: Running, chunked: bool, size: int) -> None:
    client = small.client()
    blocks = (b" " * 1000 for _ in range(size // 1000 + 1))
    body: Any = blocks if chunked else b" " * size
    headers = {"Content-Type": JSON} | (
        {"Transfer-Encoding": "chunked"} if chunked else {}
    )
    client.line.request("POST", "/predict", body, headers, encode_chunked=chunked)
    got = client.line.getresponse()
    assert got.status == 413
    assert b"more than 2,000 bytes" in got.read()
    assert got.getheader("connection") == "close"
    client.close()


def test_a_large_body_is_refused_before_it_is_sent(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", small.port), 10) as line:
        head = "POST /predict HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}"
        more = "Content-Length: 1000000000", "Expect: 100-continue", "", ""
        line.sendall("\r\n".join([*head, *more]).encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_dawdles_is_not_waited_for(small: Running) -> None:
    with socket.create_connection(("127.0.0.1", small.port), 10) as line:
        head = "POST /predict HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}"
        line.sendall("\r\n".join([*head, "Content-Length: 99", "", ""]).encode())
        start = time.monotonic()
        dripping = threading.Thread(target=_drip, args=(line,))
        dripping.start()
        got = line.recv(1000)
        spent = time.monotonic() - start
        dripping.join()
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in got
    assert 0.9 < spent < 4


def _drip(line: socket.socket) -> None:
    for _ in range(8):
        try:
            line.sendall(b" ")
        except OSError:
            return
        time.sleep(0.2)


def test_a_head_that_dawdles_is_not_waited_for(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_file, "HEAD", 0.4)
    for begin in (
        b"",
        b"GET /healthz HTT",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", small.port), 10) as line:
            line.sendall(begin)
            if begin.endswith(b"\r\n\r\n"):
                got = b""
                while b'"ok"}' not in got:
                    got += line.recv(1000)
                line.sendall(b"GET /healthz HTT")  # the next one
            start = time.monotonic()
            line.settimeout(5)
            assert line.recv(1000) == b""
            assert time.monotonic() - start < 4


def test_more_than_can_be_in_hand_is_told_to_come_back(small: Running) -> None:
    lines = [socket.create_connection(("127.0.0.1", small.port), 10) for _ in range(2)]
    head = "POST /predict HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}"
    for line in lines:
        line.sendall("\r\n".join([*head, "Content-Length: 9", "", ""]).encode())
    client = small.client()
    end = time.monotonic() + 5
    while "gradline_predictions_in_flight 2.0" not in metrics(client):
        assert time.monotonic() < end
    answer = client.predict({"row": ROW})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.detail.startswith("There are 2 requests in hand already")
    assert client.ask("GET", "/healthz").status == 200
    for line in lines:
        line.close()
    while client.predict({"row": ROW}).status != 200:
        assert time.monotonic() < end
    client.close()


def test_work_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Predictor._line_at

    def slow(self: Predictor, X: Any) -> Any:
        time.sleep(0.15)
        return whole(self, X)

    monkeypatch.setattr(Predictor, "_line_at", slow)
    with running(FIT, Limits(seconds=0.4)) as server:
        client = server.client()
        columns = {n: [v] * 40_000 for n, v in ROW.items()}
        start = time.monotonic()
        answer = client.predict({"columns": columns})
        assert answer.status == 504
        assert answer.detail.startswith("The answer was not ready in 0.4 seconds")
        assert time.monotonic() - start < 5
        client.close()


def test_all_bodies_together_are_bounded(small: Running) -> None:
    service = small.server._service
    monkey = service._bodies
    with monkey.room() as held:
        monkey._held += SMALL.held
        try:
            client = small.client()
            answer = client.predict({"row": ROW})
            client.close()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        finally:
            monkey._held -= SMALL.held
        assert held.size == 0
    assert monkey._held == 0


def test_an_answer_that_nobody_takes_is_not_kept(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_file, "TAKING", 0.5)
    columns = {n: [v] * 100_000 for n, v in ROW.items()}
    body = json.dumps({"columns": columns, "interval": 0.9}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
    known = server.server.server_state.connections
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", server.port))
        line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        port = line.getsockname()[1]
        assert line.recv(100).startswith(b"HTTP/1.1 200")  # and no more
        assert any(c.client == ("127.0.0.1", port) for c in list(known))
        end = time.monotonic() + 10
        while any(c.client == ("127.0.0.1", port) for c in list(known)):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_wide_designs_are_worked_on_in_small_pieces() -> None:
    levels = [f"v{i:04}" for i in range(1500)]
    data = {"g": levels * 2, "y": np.arange(3000.0) % 7}
    fit = gl.fit(data, target="y", categories=["g"])
    assert Predictor(fit).step < 1500
    with running(fit) as server:
        client = server.client()
        found = client.predict({"columns": {"g": levels}}).json["predictions"]
        np.testing.assert_allclose(found, fit.predict({"g": levels}), rtol=1e-12)
        table = client.stream({"g": levels}).table
        np.testing.assert_allclose(table.column("prediction").to_numpy(), found)
        described = client.ask("GET", "/openapi.json").json
        value = described["components"]["schemas"]["Row"]["properties"]["g"]
        assert "enum" not in value  # too many to list
        client.close()


def test_nothing_is_no_http(small: Running) -> None:
    for text in (
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02",
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 70_000,
    ):
        with socket.create_connection(("127.0.0.1", small.port), 10) as line:
            line.sendall(text)
            line.shutdown(socket.SHUT_WR)
            got = line.recv(1000)
            assert got == b"" or got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))
    client = small.client()
    assert client.predict({"row": ROW}).status == 200
    client.close()


def test_a_smuggled_request_is_none(small: Running) -> None:
    text = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        "GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", small.port), 10) as line:
        line.sendall(text.encode())
        line.settimeout(3)
        got = line.recv(4000)
    assert got.startswith(b"HTTP/1.1 400")
    assert b"coefficients" not in got


SECRET = "the data of somebody"


def test_a_fault_of_ours_says_nothing(
    small: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError(SECRET)

    client = small.client()
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", broken)
        answer = client.predict({"row": ROW})
    assert answer.status == 500
    assert "RuntimeError" not in answer.detail
    told = capfd.readouterr().err
    assert "RuntimeError in" in told
    assert SECRET not in told
    assert client.predict({"row": ROW}).status == 200
    client.close()


def metrics(client: Client) -> str:
    answer = client.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.body.decode()


def test_metrics(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    with running(FIT, log=lines.append) as server:
        client = server.client()
        for _ in range(3):
            client.predict({"rows": [ROW] * 4})
        for k in range(20):
            client.ask("GET", f"/secret{k}")
            client.ask(f"M{k}", "/model")
        text = metrics(client)
        client.close()
    assert (
        'gradline_requests_total{method="POST",route="/predict",status="200"} 3.0'
        in text
    )
    assert (
        'gradline_requests_total{method="GET",route="other",status="404"} 20.0' in text
    )
    assert (
        'gradline_requests_total{method="other",route="/model",status="405"} 20.0'
        in text
    )
    assert "gradline_rows_predicted_total 12.0" in text
    assert 'gradline_request_seconds_count{route="/predict"} 3.0' in text
    assert "gradline_predictions_in_flight 0.0" in text
    assert re.search(r'gradline_model_info\{.*target="price".*\} 1\.0', text)
    assert "process_resident_memory_bytes" in text
    assert "secret" not in text
    assert re.fullmatch(r"POST /predict 200 4 rows \d+\.\d ms", lines[0])
    assert not any("secret" in line for line in lines)
    assert capfd.readouterr() == ("", "")


# The command.


def test_command_json_and_sigterm(tmp_path: Path) -> None:
    FIT.save(tmp_path / "m.safetensors")
    process = Process("m.safetensors", "--json", "--max-rows", "3", cwd=tmp_path)
    told = json.loads(process.line)
    assert told["command"] == "serve"
    assert told["address"] == f"http://127.0.0.1:{process.port}/"
    assert told["features"] == list(ROW)
    client = Client(process.port)
    assert client.predict({"rows": [ROW] * 3}).status == 200
    assert client.predict({"rows": [ROW] * 4}).status == 413
    told = client.ask("GET", "/model").json
    assert told["name"] == "m.safetensors"
    process.popen.terminate()
    out, err = process.end()
    assert (process.popen.returncode, out, err) == (0, "", "")
    client.close()


def test_command_ends_by_ctrl_c_with_130(tmp_path: Path) -> None:
    FIT.save(tmp_path / "m.safetensors")
    process = Process("m.safetensors", cwd=tmp_path)
    assert process.line.startswith("m.safetensors predicts price at http://127.0.0.1:")
    with pytest.raises(
        gl.UsageError, match=f"cannot listen on 127.0.0.1:{process.port}"
    ):
        bound("127.0.0.1", process.port)
    process.popen.send_signal(2)
    _, err = process.end()
    assert process.popen.returncode == 130
    assert err == "gradline: the server has stopped\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["none.safetensors"], "there is no file 'none.safetensors'"),
        (["words.txt"], "words.txt is not a gradline model"),
        (["net.safetensors"], "holds the weights of a module, and no model file holds"),
        (["m.safetensors", "--port", "70000"], "'70000' is no port"),
        (["m.safetensors", "--port", "{taken}"], "give another --port, or --port 0"),
        (["m.safetensors", "--host", "203.0.113.7"], "which is no address of this"),
        (["m.safetensors", "--max-body", "lots"], "'lots' is no size"),
        (["m.safetensors", "--max-rows", "0"], "'0' is no count"),
        (["m.safetensors", "--max-body", "0"], "'0' is no size: give 1 or more"),
        (["m.safetensors", "--timeout", "nan"], "'nan' is no time"),
        (["m.safetensors", "--allow-host", "http://x"], "is no host"),
        (["m.safetensors", "--allow-origin", "x/y"], "is no origin"),
    ],
)
def test_command_refuses_in_one_line(
    words: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from commands import run

    monkeypatch.chdir(tmp_path)
    if words[0] == "m.safetensors":
        FIT.save("m.safetensors")
    if words[0] == "net.safetensors":
        net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.Linear(2, 1))
        data = {"x": np.arange(20.0), "y": np.arange(20.0)}
        gl.fit(data, target="y", model=net, epochs=1, lr=0.01).save("net.safetensors")
    Path("words.txt").write_text("not a model at all")
    with bound("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = run(capsys, "serve", *(w.format(taken=port) for w in words))
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1


def test_keepalive(client: Client) -> None:
    client.predict({"row": ROW})
    before = client.line.sock
    for _ in range(5):
        assert client.predict({"row": ROW}).status == 200
    assert client.line.sock is before
    with pytest.raises(http.client.HTTPException):
        client.line.request("GET", "/a b")
