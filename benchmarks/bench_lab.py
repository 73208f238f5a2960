"""The lab in headless Chromium: pictures a second, first view, and what a change costs.

With 200 points and with a Parquet file of 10 million rows, which is made on the spot.
Beside the server's time for another learning rate stands what the same numbers cost
without the state: descending on all rows with torch, step by step.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from measure import Report, duration, report, write_parquet
from playwright.sync_api import Browser, Page, sync_playwright

import gradline as gl

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Pictures a second, at the least.
GOAL_PICTURES = 50

#: Seconds from the server being up to the first view, at the most.
GOAL_VIEW = 1.0

#: Steps of the descent that is walked for comparison; the lab has all of them at once.
WALKED = 10

POINTS = "#v=1&n=200&epochs=1000000"


@contextlib.contextmanager
def lab(*words: str) -> Iterator[tuple[str, float]]:
    """A lab as a process of its own: its address, and seconds until it was up."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gradline",
            "lab",
            "--no-browser",
            "--port",
            "0",
            *words,
        ],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the lab did not start"
        yield found.group(), time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        process.stdout.close()


def wait(page: Page, expression: str, seconds: float = 120.0) -> None:
    """Until a JavaScript expression holds."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"never came: {expression}")
        page.wait_for_timeout(5)


def first_view(page: Page, address: str) -> float:
    """Seconds from the navigation, where `performance` begins, to the first picture."""
    page.goto(address)
    wait(
        page, "window.gradlineLab?.stage.frames > 0 && gradlineLab.store.frame !== null"
    )
    return float(page.evaluate("performance.now()")) / 1000


def pictures(page: Page, speed: int, seconds: float) -> float:
    """Drawn in a second while it plays."""
    page.locator("#speed").select_option(str(speed))
    if not page.evaluate("gradlineLab.store.playing"):
        page.locator("#play").click()
    page.wait_for_timeout(500)
    counter = "[gradlineLab.stage.frames, performance.now()]"
    first, began = page.evaluate(counter)
    page.wait_for_timeout(1000 * seconds)
    last, ended = page.evaluate(counter)
    if not page.evaluate("gradlineLab.store.playing"):
        raise SystemExit("the run ended before it was measured")
    page.locator("#play").click()
    return float(1000 * (last - first) / (ended - began))


#: Asks the server as the page does, `count` times: milliseconds of each.
ASKED = """async ([kind, count]) => {
  const { store, socket } = gradlineLab;
  const times = [];
  let run = store.run;
  for (let k = 0; k < count; k++) {
    const lr = store.setting.lr * (1 + k / 1000);
    const message = kind === "set"
      ? { type: "set", setting: { ...store.setting, lr } }
      : { type: "frames", run: run.run, steps: [1000 + 37 * k] };
    const began = performance.now();
    const answer = await socket.ask(message);
    times.push(performance.now() - began);
    if (kind === "set") run = answer;
  }
  if (kind === "set") await store.change({});
  return times;
}"""


def asked(page: Page, kind: str, count: int) -> float:
    """Median seconds of an answer, the way there and back included."""
    page.evaluate(ASKED, [kind, 3])
    times: list[float] = page.evaluate(ASKED, [kind, count])
    return statistics.median(times) / 1000


def descended(path: Path, epochs: int) -> float:
    """Seconds for so many steps of torch on all rows in memory, of x1 on y."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["x1", "y"])
    x, y = (torch.tensor(table[name].to_numpy()) for name in ("x1", "y"))
    weight = torch.zeros((), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=0.1)
    began = 0.0
    for step in range(epochs + 1):
        if step == 1:  # the first one imports what torch needs
            began = time.perf_counter()
        loss = ((weight * x + bias - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measured(
    found: Report, browser: Browser, title: str, address: str, link: str
) -> dict[str, float]:
    """One page: its view, its pictures, its answers; prints them."""
    work = f"the lab with {title}"
    found.title(work)
    views = []
    for turn in range(4):  # each as a browser that has never been here
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto("about:blank")
        views.append(first_view(page, address + link))
        if turn < 3:
            context.close()
    wait(page, "!gradlineLab.store.busy")
    if "file:" in page.evaluate("gradlineLab.store.setting.data"):
        page.evaluate("gradlineLab.store.change({ epochs: 1000000 })")
        wait(page, "!gradlineLab.store.busy")
    view = statistics.median(views)
    found.most(work, "navigation to first view, median", view, "s", GOAL_VIEW)
    found.most(work, "  and that of the very first page", views[0], "s")
    seconds = 1.0 if found.small else 5.0
    for speed in (20, 1000):
        rate = pictures(page, speed, seconds)
        found.ratio(
            work,
            f"pictures a second at {speed} steps a second / {GOAL_PICTURES}",
            rate / GOAL_PICTURES,
            1,
        )
        found.most(work, "  which is", rate, "pictures a second")
        page.locator("#reset").click()
    cost = page.evaluate("gradlineLab.stage.cost")
    found.most(work, "the page's own work on the last one", cost, "ms")
    count = 10 if found.small else 50
    times = {kind: asked(page, kind, count) for kind in ("set", "frames")}
    found.most(work, "another learning rate, there and back", 1000 * times["set"], "ms")
    found.most(
        work, "a step by the scrubber, there and back", 1000 * times["frames"], "ms"
    )
    context.close()
    return times


def main() -> None:
    with report(__doc__ or "") as found, contextlib.ExitStack() as stack:
        if not CHROMIUM.exists():
            raise SystemExit(f"needs a browser at {CHROMIUM}: apt-get install chromium")
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        stack.callback(browser.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = 100_000 if found.small else 10_000_000
        path = folder / "rows.parquet"
        write_parquet(path, rows, 2)

        with lab() as (address, up):
            few = measured(found, browser, "200 points", address, POINTS)
            found.most("start", "the lab without a file is up after", up, "s")
        words = [str(path), "--target", "y", "--features", "x1"]
        with lab(*words) as (address, up):
            many = measured(found, browser, f"{rows:,} rows", address, "")
            found.most("start", "the lab with the file is up after", up, "s")

        work = f"the same without the state: {rows:,} rows"
        found.title(work)
        walked = descended(path, WALKED)
        found.most(work, f"{WALKED} steps of torch on all rows", walked, "s")
        fitted = seconds_of(lambda: gl.fit(path, target="y", features=["x1"]))
        found.most(work, "one fit anew from the file", fitted, "s")
        thousand = walked / WALKED * 1000
        found.ratio(
            work,
            "a scrub to step 1,000 / by descending",
            thousand / many["frames"],
            100,
        )
        found.ratio(work, "another lr / fitting anew", fitted / many["set"], 1)
        found.ratio(
            work,
            "another lr at 200 points / at all rows",
            few["set"] / many["set"],
            0.5,
        )
        found.say("note", f"  (a scrub by descending: {duration(thousand)})")


if __name__ == "__main__":
    main()
