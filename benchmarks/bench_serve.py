"""gradline serve beside a bare server: Starlette, uvicorn, sklearn, and no checks.

Both are one process on loopback, asked in turns by clients in processes of their own
over connections that stay open. The bare server is what one writes in ten minutes: it
believes what it is sent, bounds nothing and describes nothing.

Beside the wait of the clients, a line gives what a request costs the server: seconds of
its own processor, which hold where the machine has other things to do.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import OURS, Report, report

import gradline as gl

BARE_NAME = "bare server"
FEATURES = [f"x{i}" for i in range(10)]

BARE = """
import io, json, socket, sys
import numpy as np, pyarrow as pa, uvicorn
from sklearn.linear_model import LinearRegression
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

names = [f"x{i}" for i in range(10)]
model = LinearRegression()
model.coef_, model.intercept_ = np.arange(1.0, 11.0), 1.0
model.n_features_in_ = 10

async def predict(request):
    rows = (await request.json())["rows"]
    X = np.array([[row[name] for name in names] for row in rows])
    return JSONResponse({"predictions": model.predict(X).tolist()})

async def arrow(request):
    table = pa.ipc.open_stream(await request.body()).read_all()
    X = np.column_stack([table.column(name).to_numpy() for name in names])
    found = pa.table({"prediction": model.predict(X)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found)
    return Response(sink.getvalue(), media_type="application/vnd.apache.arrow.stream")

app = Starlette(routes=[Route("/predict", predict, methods=["POST"]),
                        Route("/predict/arrow", arrow, methods=["POST"])])
line = socket.create_server(("127.0.0.1", 0))
line = socket.socket(line.family, line.type, socket.IPPROTO_TCP, line.detach())
print(f"http://127.0.0.1:{line.getsockname()[1]}/", flush=True)
config = uvicorn.Config(app, log_level="critical", http="h11", loop="asyncio")
uvicorn.Server(config).run([line])
"""

CLIENT = """
import http.client, json, sys, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
path, kind = sys.argv[3:]
body = sys.stdin.buffer.read()
client = http.client.HTTPConnection("127.0.0.1", port)
spent = []
end = time.perf_counter() + seconds
while time.perf_counter() < end:
    start = time.perf_counter()
    client.request("POST", path, body, {"Content-Type": kind})
    got = client.getresponse()
    got.read()
    spent.append(time.perf_counter() - start)
    assert got.status == 200, got.status
print(json.dumps(spent))
"""

JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


def started(*words: str) -> tuple[Any, int]:
    """A server, and its port."""
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    found = re.search(r":(\d+)/", process.stdout.readline())
    assert found is not None
    return process, int(found[1])


def asked(
    port: int, seconds: float, path: str, kind: str, body: bytes, clients: int
) -> list[float]:
    """The seconds that each request took, as its client saw it."""
    words = [sys.executable, "-I", "-c", CLIENT, str(port), str(seconds), path, kind]
    running = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(clients)
    ]
    for client in running:
        assert client.stdin is not None
        client.stdin.write(body)
        client.stdin.close()
    found: list[float] = []
    for client in running:
        assert client.stdout is not None
        found += json.loads(client.stdout.read())
        client.wait()
    return found


def bodies(rows: int) -> tuple[bytes, bytes]:
    """The same rows as JSON and as Arrow."""
    import pyarrow as pa

    X = np.random.default_rng(0).normal(size=(rows, 10))
    table = pa.table({name: X[:, i] for i, name in enumerate(FEATURES)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    plain = [dict(zip(FEATURES, row, strict=True)) for row in X.tolist()]
    return json.dumps({"rows": plain}).encode(), sink.getvalue()


def once(port: int, path: str, kind: str, body: bytes) -> Any:
    """The predictions of one request."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.request("POST", path, body, {"Content-Type": kind})
    text = client.getresponse().read()
    client.close()
    if kind == JSON:
        return np.array(json.loads(text)["predictions"])
    import pyarrow as pa

    return pa.ipc.open_stream(text).read_all().column("prediction").to_numpy()


def race(
    found: Report,
    work: str,
    servers: dict[str, Any],
    case: tuple[str, str, bytes],
    clients: int,
) -> None:
    """Ask both in turns, and say how fast they were."""
    path, kind, body = case
    answers = [once(port, path, kind, body) for _, port in servers.values()]
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-9)
    seconds, rounds = (0.3, 1) if found.small else (1.5, 5)
    spent: dict[str, list[list[float]]] = {name: [] for name in servers}
    used: dict[str, float] = dict.fromkeys(servers, 0.0)
    for _ in range(rounds):
        for name, (process, port) in servers.items():
            time.sleep(0.2)
            before = processor(process.pid)
            spent[name].append(asked(port, seconds, path, kind, body, clients))
            used[name] += processor(process.pid) - before
    found.title(f"{work}, {clients} client{'s' * (clients > 1)}")
    figures = {}
    for name, turns in spent.items():
        waits = np.concatenate(turns)
        rate = float(np.median([len(turn) / seconds for turn in turns]))
        p50, p99 = np.percentile(waits, [50, 99]) * 1000
        cost = used[name] / len(waits) * 1000
        figures[name] = np.array([1 / rate, p50, p99, cost])
        found.say(
            "served",
            f"  {name:<16}{rate:7.0f} /s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms"
            f"   costs {cost:6.3f} ms",
            work=work,
            name=name,
            clients=clients,
            rate=rate,
            p50=p50,
            p99=p99,
            cost=cost,
        )
    ratio = figures[BARE_NAME] / figures[OURS]
    found.say(
        "ratio",
        f"  {'ratio':<16}{ratio[0]:7.2f}          {ratio[1]:6.2f}"
        f"          {ratio[2]:6.2f}            {ratio[3]:6.3f}",
        work=work,
        clients=clients,
        ratios=ratio.tolist(),
    )


def processor(process: int) -> float:
    """The seconds of processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with (
        report("gradline serve beside a bare server.") as found,
        tempfile.TemporaryDirectory() as folder,
    ):
        random = np.random.default_rng(1)
        X = random.normal(size=(1000, 10))
        y = X @ np.arange(1.0, 11.0) + 1.0
        data = {name: X[:, i] for i, name in enumerate(FEATURES)} | {"y": y}
        path = Path(folder) / "line.safetensors"
        gl.fit(data, target="y").save(path)
        ours, our_port = started("-m", "gradline", "serve", str(path), "--port", "0")
        bare, bare_port = started("-c", BARE)
        try:
            servers = {OURS: (ours, our_port), BARE_NAME: (bare, bare_port)}
            one, many = bodies(1), bodies(1000)
            for clients in (1, 4):
                for work, case in {
                    "1 row, JSON": ("/predict", JSON, one[0]),
                    "1 row, Arrow": ("/predict/arrow", ARROW, one[1]),
                    "1000 rows, JSON": ("/predict", JSON, many[0]),
                    "1000 rows, Arrow": ("/predict/arrow", ARROW, many[1]),
                }.items():
                    race(found, work, servers, case, clients)
        finally:
            for process in (ours, bare):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
