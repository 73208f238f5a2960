"""What can be taken away: a script that runs, a model, pictures, a report, a link."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, expect

import gradline as gl
from browser import Visit
from forks import forked


def take(visit: Visit, what: str, folder: Path) -> Path:
    """Choose from the menu; where the browser has saved it."""
    page = visit.page
    page.locator("#open-export").click()
    with page.expect_download() as coming:
        page.locator(f"[data-export={what}]").click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def numbers_of(text: str) -> dict[str, list[float]]:
    """Names and numbers that a script has printed: weight, bias."""
    number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
    found = {}
    for name in ("weight", "bias"):
        line = re.search(rf"{name}\D*?({number}(?:[,\s]+{number})*)", text)
        assert line, text
        found[name] = [float(v) for v in re.findall(number, line.group(1))]
    return found


CASES = {
    "edited": '#v=1&edits={"added":[[0.5,3]],"moved":{"3":[0.1,2]},"deleted":[7]}'
    "&momentum=0.9&nesterov=true&weight_decay=0.01&lr=0.03&step=50",
    "polynomial": "#v=1&n=40&degree=3&validation=0.3&standardize=true&step=150",
    "adam": "#v=1&optimizer=Adam&loss=huber&outliers=5&step=60",
    "batches": "#v=1&data=penguins&standardize=true&batch_size=64&epochs=20&step=100",
}


def test_scripts_come_to_the_same_weight_and_bias(visit: Visit, tmp_path: Path) -> None:
    """Run as somebody does who has PyTorch and not gradline."""
    shown: dict[str, list[float]] = {}
    for case, link in CASES.items():
        visit.open(link)
        shown[case] = visit.frame_at(int(link.split("step=")[1]))["parameters"]
        path = take(visit, "script", tmp_path).rename(tmp_path / f"{case}.py")
        text = path.read_text(encoding="utf-8")
        assert "import gradline" not in text
        for line in ("zero_grad()", "backward()", ".step()"):
            assert line in text

    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env["PYTHONWARNINGS"] = "error"
    for case in CASES:
        done = forked(f"{case}.py", folder=tmp_path, env=env)
        assert done.returncode == 0, (case, done.stderr)
        found = numbers_of(done.stdout)
        np.testing.assert_allclose(
            [*found["weight"], *found["bias"]],
            shown[case],
            rtol=1e-6,
            atol=1e-6,
            err_msg=case,
        )


def test_the_model_is_a_fit(visit: Visit, tmp_path: Path) -> None:
    visit.open("#v=1&data=penguins&standardize=true&step=30")
    frame = visit.frame_at(30)
    fit = gl.load(take(visit, "model", tmp_path))
    known = [*fit.coefficients.values(), fit.intercept]
    np.testing.assert_allclose(known, frame["parameters"], rtol=1e-9)
    predicted = fit.predict({"flipper_length_mm": np.array([200.0])})
    expected = frame["parameters"][0] * 200 + frame["parameters"][1]
    np.testing.assert_allclose(predicted, [expected], rtol=1e-9)


def test_pictures_and_report(visit: Visit, tmp_path: Path) -> None:
    visit.open("#v=1&step=40")
    visit.frame_at(40)
    picture = Image.open(io.BytesIO(take(visit, "picture", tmp_path).read_bytes()))
    assert picture.format == "PNG"
    assert min(picture.size) >= 300
    assert np.asarray(picture.convert("L")).std() > 5
    movie: Any = Image.open(io.BytesIO(take(visit, "movie", tmp_path).read_bytes()))
    assert movie.format == "GIF"
    assert movie.n_frames >= 10
    frames = []
    for place in (0, movie.n_frames - 1):
        movie.seek(place)
        frames.append(np.asarray(movie.convert("L")).astype(int))
    assert np.abs(frames[0] - frames[1]).max() > 50
    report = take(visit, "report", tmp_path).read_text(encoding="utf-8")
    assert report.lstrip().lower().startswith("<!doctype html>")


def test_the_link_restores_everything(visit: Visit, browser: Browser) -> None:
    page = visit.open()
    for name, value in {
        "n": 30,
        "noise": 2,
        "momentum": 0.8,
        "validation": 0.2,
    }.items():
        visit.give(name, value)
    visit.give("standardize", 1)
    low, high = page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    with visit.new_run():
        page.mouse.click(*visit.spot(0, 0.4, high - 0.1 * (high - low)))
    page.locator("#residuals").check()
    page.locator("#view-curve").get_by_text("Gap", exact=True).click()
    visit.scrub(33)
    page.wait_for_timeout(400)
    link = page.url
    assert "#" in link

    other = Visit(browser, visit.address, reduced_motion="reduce")
    other.open("#" + link.partition("#")[2])
    other.frame_at(33)
    for what in ("setting", "frame", "data.X", "run.optimum"):
        assert other.state(what) == visit.state(what)
    for what in ("residuals", "curve", "equal"):
        assert other.state(f"view.{what}") == visit.state(f"view.{what}")
    expect(other.page.locator("#residuals")).to_be_checked()
    other.close()


def test_the_link_is_copied(browser: Browser, address: str) -> None:
    visit = Visit(
        browser,
        address,
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = visit.open()
    visit.rate(0.25)
    page.wait_for_timeout(400)
    page.locator("#copy-link").click()
    expect(page.locator("#copy-link")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert "lr=0.25" in page.url
    visit.close()
