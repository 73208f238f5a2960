"""A client that asks and asks: a process of its own, with nothing but Python in it.

    python serve_load.py PORT SEED REQUESTS LINE

LINE is the model in JSON: {"intercept": ..., "x": ..., "group": {"a": 0, "b": ...}}.
Every answer is held against it. With 0 requests it goes on until nobody listens. At the
end it prints what it met, in JSON.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import sys
import time
from typing import Any

#: One request in so many is a batch, of so many rows.
BATCH_EVERY, BATCH_ROWS = 5, 500


def rows_of(draw: random.Random, count: int, line: Any) -> list[dict[str, Any]]:
    groups = list(line["group"])
    return [
        {"x": draw.uniform(-10, 10), "group": draw.choice(groups)} for _ in range(count)
    ]


def right(answer: Any, rows: list[dict[str, Any]], line: Any) -> bool:
    found = answer["predictions"]
    return len(found) == len(rows) and all(
        math.isclose(
            value,
            line["intercept"] + line["x"] * row["x"] + line["group"][row["group"]],
            rel_tol=1e-9,
            abs_tol=1e-9,
        )
        for value, row in zip(found, rows, strict=True)
    )


def main() -> None:
    port, seed, requests = map(int, sys.argv[1:4])
    line = json.loads(sys.argv[4])
    draw = random.Random(seed)
    met = {"answered": 0, "wrong": 0, "others": [], "unanswered": 0, "unaccepted": 0}
    spent: list[float] = []
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    done = 0
    while not requests or done < requests:
        done += 1
        count = BATCH_ROWS if done % BATCH_EVERY == 0 else 1
        rows = rows_of(draw, count, line)
        body = json.dumps({"rows": rows, "interval": 0.9})
        start = time.perf_counter()
        fresh = client.sock is None
        try:
            client.connect() if fresh else None
        except ConnectionError:
            break  # nobody listens any longer
        try:
            client.request(
                "POST", "/predict", body, {"Content-Type": "application/json"}
            )
            got = client.getresponse()
            text = got.read()
        except (ConnectionError, http.client.HTTPException):
            met["unaccepted" if fresh else "unanswered"] += 1
            client.close()
            if requests:
                raise
            continue
        spent.append(time.perf_counter() - start)
        if got.status != 200:
            met["others"].append(got.status)
        elif right(json.loads(text), rows, line):
            met["answered"] += 1
        else:
            met["wrong"] += 1
    spent.sort()
    met["median"] = spent[len(spent) // 2]
    met["worst"] = spent[-1]
    sys.stdout.write(json.dumps(met) + "\n")


if __name__ == "__main__":
    main()
