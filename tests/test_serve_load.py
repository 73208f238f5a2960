"""`gradline serve` under load from other processes: right, steady, and a clean end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradline as gl
from servers import Client, Process

CLIENTS = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model file, and the line in it."""
    random = np.random.default_rng(0)
    x, group = random.normal(size=300), random.choice(["a", "b"], 300)
    y = 2 * x + (group == "b") * 3 + 1 + random.normal(size=300)
    fit = gl.fit({"x": x, "group": group, "y": y}, target="y")
    path = tmp_path_factory.mktemp("load") / "line.safetensors"
    fit.save(path)
    slopes = fit.coefficients
    groups = {"a": 0.0, "b": slopes["group[b]"]}
    line = {"intercept": fit.intercept, "x": slopes["x"], "group": groups}
    return path, json.dumps(line)


@pytest.fixture(scope="module")
def process(model: tuple[Path, str]) -> Iterator[Process]:
    found = Process(model[0].name, cwd=model[0].parent)
    yield found
    found.popen.terminate()
    found.end()


def clients(port: int, requests: int, line: str) -> list[subprocess.Popen[str]]:
    script = Path(__file__).with_name("serve_load.py")
    return [
        subprocess.Popen(
            [
                sys.executable,
                "-I",
                str(script),
                *map(str, (port, seed, requests)),
                line,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(CLIENTS)
    ]


def met(started: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    return [json.loads(client.communicate(timeout=60)[0]) for client in started]


def resident(client: Client) -> float:
    """The server's memory, in MB."""
    for line in client.ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith("process_resident_memory_bytes "):
            return float(line.split()[1]) / 1e6
    raise AssertionError("no memory is told")


def test_every_answer_is_right_and_health_is_quick(
    process: Process, model: tuple[Path, str]
) -> None:
    watcher = Client(process.port)
    assert all(m["answered"] == 50 for m in met(clients(process.port, 50, model[1])))
    before = resident(watcher)
    running = clients(process.port, 200, model[1])
    waits = []
    while any(client.poll() is None for client in running):
        start = time.perf_counter()
        assert watcher.ask("GET", "/healthz").status == 200
        waits.append(time.perf_counter() - start)
        time.sleep(0.01)
    for found in met(running):
        assert found["answered"] == 200, found
        assert (found["wrong"], found["others"]) == (0, [])
        assert (found["unanswered"], found["unaccepted"]) == (0, 0)
    assert np.median(waits) < 0.1
    assert max(waits) < 2.0
    assert resident(watcher) - before < 40
    text = watcher.ask("GET", "/metrics").body.decode()
    assert 'status="5' not in text
    assert "gradline_predictions_in_flight 0.0" in text
    watcher.close()


def test_health_is_quick_beside_the_largest_batches(process: Process) -> None:
    body = {"columns": {"x": [0.12345678901] * 100_000, "group": ["a"] * 100_000}}
    large = json.dumps(body | {"interval": 0.9}).encode()
    watcher, one, two = (Client(process.port, 60) for _ in range(3))
    assert one.predict(large).status == 200
    before = resident(watcher)
    waits = []
    for _ in range(3):
        for client in (one, two):
            headers = {"Content-Type": "application/json"}
            client.line.request("POST", "/predict", large, headers)
        for client in (one, two):
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                start = time.perf_counter()
                assert watcher.ask("GET", "/healthz").status == 200
                waits.append(time.perf_counter() - start)
            got = client.line.getresponse()
            assert got.status == 200
            assert len(json.loads(got.read())["predictions"]) == 100_000
    assert np.median(waits) < 0.1
    assert max(waits) < 2.0
    assert resident(watcher) - before < 150
    for client in (watcher, one, two):
        client.close()


def test_a_stop_under_load_leaves_no_request_without_its_answer(
    model: tuple[Path, str],
) -> None:
    process = Process(model[0].name, cwd=model[0].parent)
    watcher = Client(process.port)
    running = clients(process.port, 0, model[1])
    end = time.monotonic() + 20
    while "gradline_rows_predicted_total 0.0" in (
        watcher.ask("GET", "/metrics").body.decode()
    ):
        assert time.monotonic() < end
    time.sleep(1)
    start = time.monotonic()
    process.popen.terminate()
    # For a moment it still answers, and says that it stops.
    while True:
        answer = watcher.ask("GET", "/readyz")
        if answer.status == 503:
            break
        assert time.monotonic() - start < 5
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["connection"] == "close"
    watcher.close()
    out, err = process.end()
    assert (process.popen.returncode, out, err) == (0, "", "")
    assert time.monotonic() - start < 10
    for found in met(running):
        assert found["answered"] > 20
        assert (found["wrong"], found["others"], found["unanswered"]) == (0, [], 0)
        assert found["unaccepted"] <= 1  # came as the door was closed
