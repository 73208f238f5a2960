"""Real sets and one's own files in the lab, good ones, bad ones and hostile ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from playwright.sync_api import Browser, expect

import gradline as gl
from browser import Visit, lab
from helpers import ROOT, TOLERANCE

FEW = TOLERANCE["float64"]
PENGUINS = ROOT / "docs" / "penguins.csv"


def check_optimum(visit: Visit, data: Any, target: str, features: list[str]) -> None:
    """The optimum on the page is that of gl.fit on this file."""
    fit = gl.fit(data, target=target, features=features, missing="drop")
    shown = visit.state("run.optimum.parameters")
    known = [*fit.coefficients.values(), fit.intercept]
    np.testing.assert_allclose(shown, known, rtol=1e-8, atol=1e-8)


def upload(visit: Visit, path: Path | dict[str, Any]) -> None:
    """Give the lab a file, as somebody does who chose it in the browser's dialogue."""
    if not visit.page.locator("#data-dialog").is_visible():
        visit.page.locator("#open-data").click()
    visit.page.locator("#file").set_input_files(path)  # type: ignore[arg-type]


def raw(name: str, text: str | bytes) -> dict[str, Any]:
    """A file that exists in the browser only."""
    buffer = text.encode() if isinstance(text, str) else text
    return {"name": name, "mimeType": "text/csv", "buffer": buffer}


def test_every_ready_made_set_converges_once_standardised(visit: Visit) -> None:
    page = visit.open()
    sets = visit.state("hello.datasets")
    assert len(sets) >= 6
    assert sum(bool(s["real"]) for s in sets) >= 2
    for found in sets:
        page.locator("#open-data").click()
        card = page.locator(f'[data-set="{found["name"]}"]')
        expect(card).to_contain_text(found["title"])
        if found["name"] == visit.state("setting.data"):
            page.keyboard.press("Escape")
            continue
        with visit.new_run():
            card.click()
        assert visit.state("data.title") == found["title"]
        if not found["drawn"]:
            assert visit.state("setting.standardize")
            assert visit.state("run.diverged") is None
            expect(page.locator("#set-n")).to_be_disabled()
        expect(page.locator("#data-title")).to_have_text(found["title"])


def test_several_features_of_a_real_set(visit: Visit) -> None:
    page = visit.open("#v=1&data=penguins&standardize=true")
    page.locator("#open-data").click()
    page.locator(".columns").get_by_label("bill_length_mm").check()
    page.locator(".columns").get_by_label("species").check()
    with visit.new_run():
        page.locator("#use-columns").click()
    expect(page.locator("#data-dialog")).to_be_hidden()
    features = visit.state("data.features")
    assert set(features) == {"flipper_length_mm", "bill_length_mm", "species"}
    assert len(visit.state("data.terms")) == 4
    check_optimum(visit, PENGUINS, "body_mass_g", features)
    expect(page.locator("#set-degree")).to_be_disabled()
    visit.scrub(visit.state("run.total"))
    frame = visit.state("frame.loss") / visit.state("run.optimum.loss")
    assert 1 <= frame < 1.5


def test_a_csv_file_is_opened_and_other_columns_chosen(visit: Visit) -> None:
    page = visit.open()
    with visit.new_run():
        upload(visit, PENGUINS)
    assert visit.state("data.title").startswith("penguins")
    target, features = visit.state("data.target"), visit.state("data.features")
    check_optimum(visit, PENGUINS, target, features)
    page.locator("#target").select_option("bill_length_mm")
    for box in page.locator(".columns input:checked").all():
        box.uncheck()
    expect(page.locator("#use-columns")).to_be_disabled()
    page.locator(".columns").get_by_label("bill_depth_mm").check()
    with visit.new_run():
        page.locator("#use-columns").click()
    check_optimum(visit, PENGUINS, "bill_length_mm", ["bill_depth_mm"])
    expect(page.locator("#title-data")).to_contain_text("bill_length_mm")


def test_a_parquet_file_of_many_rows_is_a_density(visit: Visit, tmp_path: Path) -> None:
    visit.open()
    random = np.random.default_rng(0)
    x = random.standard_normal(60_000)
    y = 2 * x + 1 + random.standard_normal(60_000)
    path = tmp_path / "many.parquet"
    pyarrow.parquet.write_table(pa.table({"x": x, "y": y}), path)
    with visit.new_run():
        upload(visit, path)
    assert visit.state("data.rows") == 60_000
    check_optimum(visit, path, "y", ["x"])
    density = visit.state("data.density")
    assert np.sum(density["counts"]) > 59_000
    # Scrubbing comes from the state, so the numbers are those of all rows.
    frame = visit.scrub(10)
    slope, intercept = frame["parameters"]
    loss = ((slope * x + intercept - y) ** 2).mean()
    np.testing.assert_allclose(frame["loss"], loss, rtol=1e-9)
    # One point cannot be moved among so many.
    visit.page.keyboard.press("Escape")
    visit.page.mouse.click(*visit.spot(0, 0.0, 0.0))
    visit.settle()
    assert visit.state("data.rows") == 60_000


BAD = [
    raw("empty.csv", ""),
    raw("words.csv", "a,b\nx,y\nz,w\n"),
    raw("one.csv", "a\n1\n2\n"),
    raw("head.csv", "a,b\n"),
    raw("broken.csv", "a,b\n1,2\n3\n"),
    raw("binary.csv", bytes(range(256)) * 20),
    raw("not.parquet", "PAR1 this is none"),
    raw("notes.docx", "hello"),
]


def test_a_bad_file_is_one_sentence_and_nothing_breaks(visit: Visit) -> None:
    page = visit.open()
    before = visit.state("run.run")
    words = page.locator("#drop p")
    said = {""}
    for file in BAD:
        upload(visit, file)
        expect(words).to_have_class("bad")
        expect(words).not_to_have_text(re.compile("^Reading"))
        sentence = words.inner_text()
        assert 10 < len(sentence) < 300, sentence
        assert not {"Traceback", "\n", "Error:"} & set(sentence.split(" ")), sentence
        assert sentence not in said, "the one of the file before"
        said.add(sentence)
    assert visit.state("setting.data") == "line"
    assert visit.state("run.run") == before
    with visit.new_run():
        upload(visit, PENGUINS)
    assert visit.state("data.title").startswith("penguins")
    # The browser itself notes an answer of 4xx in its console; that is no fault.
    visit.faults = [f for f in visit.faults if "the server responded with" not in f]


def check_refused(visit: Visit, name: str) -> str:
    """The file is told of inside the dialog, in a page's words: the sentence."""
    page = visit.page
    words = page.locator("#drop p")
    expect(words).to_contain_text(f"{name} is open, but cannot be fitted with these")
    expect(words).to_be_in_viewport()
    expect(page.locator(".columns-part h3")).to_have_text(f"Columns of {name}")
    expect(page.locator("#status")).to_be_hidden()
    assert visit.state("setting.data") == "line"
    sentence = words.inner_text()
    assert not re.search(r"--|exclude|categories|=", sentence), sentence
    return sentence


def test_decimal_commas_are_told_of_in_the_dialog_and_read_again(visit: Visit) -> None:
    page = visit.open()
    random = np.random.default_rng(0)
    x = random.uniform(0, 10, 200).round(2)
    y = (2 * x + random.standard_normal(200)).round()
    rows = [f"{a:.2f};{b:.0f}".replace(".", ",") for a, b in zip(x, y, strict=True)]
    upload(visit, raw("p1.csv", "\n".join(["x;y", *rows])))
    assert "choose Comma under Decimal" in check_refused(visit, "p1.csv")
    expect(page.locator(".columns li")).to_have_count(1)
    page.locator("#use-columns").click()  # the same once more, and no less told
    visit.settle()
    check_refused(visit, "p1.csv")
    page.locator("#decimal").select_option(",")
    with visit.new_run():
        page.get_by_role("button", name="Read p1.csv again").click()
    check_optimum(visit, {"x": x, "y": y}, "y", ["x"])
    expect(page.locator("#drop p")).to_have_text("p1.csv: 200 rows")
    expect(page.locator('[data-set^="file:"]')).to_have_count(1)
    expect(page.locator("#data-story")).to_have_text("200 rows.")
    # The one that was read wrongly is gone from the lab, too.
    page.keyboard.press("Escape")
    page.locator("#open-data").click()
    expect(page.locator("#drop p")).not_to_have_class("bad")


def test_columns_that_cannot_be_fitted_leave_the_file_as_it_was(visit: Visit) -> None:
    page = visit.open()
    random = np.random.default_rng(1)
    rows = [f"n{i},{z:.3f},{z + i % 5:.3f}" for i, z in enumerate(random.random(60))]
    with visit.new_run():
        upload(visit, raw("both.csv", "\n".join(["id,z,y", *rows])))
    page.locator(".columns").get_by_label("z").uncheck()
    page.locator(".columns").get_by_label("id").check()
    page.locator("#use-columns").click()
    expect(page.locator("#drop p")).to_contain_text("choose other features")
    expect(page.locator("#status")).to_be_hidden()
    assert visit.state("data.features") == ["z"]


def test_a_stray_mark_is_told_of_by_the_card_too(visit: Visit) -> None:
    page = visit.open()
    random = np.random.default_rng(1)
    values = random.standard_normal((60, 2)).round(3)
    rows = [f"{i % 7}{a},n{i},{b}" for i, (a, b) in enumerate(np.abs(values))]
    rows[5] = "-," + rows[5].split(",", 1)[1]
    upload(visit, raw("odd.csv", "\n".join(["x,id,y", *rows])))
    assert "'-'" in check_refused(visit, "odd.csv")
    page.keyboard.press("Escape")
    page.locator("#open-data").click()
    expect(page.locator("#drop p")).to_have_text("")
    page.locator('[data-set="file:2"]').click()
    assert "'-'" in check_refused(visit, "odd.csv")
    page.locator(".columns").get_by_label("x").uncheck()
    page.locator(".columns").get_by_label("id").check()
    page.locator("#use-columns").click()
    expect(page.locator("#drop p")).to_contain_text("looks like a name or an id")
    check_refused(visit, "odd.csv")


HOSTILE = [
    "<script>window.hurt=1</script>",
    '<img src=x onerror="window.hurt=1">',
    "'\"><svg onload=window.hurt=1>",
    "__proto__",
    "=cmd|' /C calc'!A0",
]


def test_hostile_names_are_only_text(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    random = np.random.default_rng(0)
    columns = {name: random.standard_normal(50) for name in HOSTILE}
    table = pa.table({**columns, "<b>y</b>": sum(columns.values())})
    path = tmp_path / "<img src=x onerror=window.hurt=1>.parquet"
    pyarrow.parquet.write_table(table, path)
    with visit.new_run():
        upload(visit, path)
    assert visit.state("data.target") == "<b>y</b>"
    for box in page.locator(".columns input").all():
        box.check()
    for name in HOSTILE:
        expect(page.locator(".columns")).to_contain_text(name)
    with visit.new_run():
        page.locator("#use-columns").click()
    expect(page.locator("#title-data")).to_contain_text("<b>y</b>")
    np.testing.assert_allclose(visit.state("run.optimum.parameters")[:5], 1, rtol=1e-6)
    visit.scrub(50)
    assert page.evaluate("window.hurt === undefined")
    assert page.locator("img:not([src='/favicon.svg'])").count() == 0
    assert page.locator("body script, b b, svg[onload]").count() == 0


def test_a_hostile_link_is_only_text(visit: Visit) -> None:
    page = visit.open("#v=1&data=<img src=x onerror=window.hurt=1>&lr=1e999&step=-3")
    expect(page.locator("#status")).to_contain_text("there is no data set")
    assert visit.state("setting.data") == "line"
    assert page.evaluate("window.hurt === undefined")
    assert page.locator("#status img").count() == 0


def test_the_lab_opens_a_file_of_the_command_line(browser: Browser) -> None:
    words = [str(PENGUINS), "--target", "bill_depth_mm", "--features", "bill_length_mm"]
    with lab(*words) as address:
        visit = Visit(browser, address, reduced_motion="reduce")
        page = visit.open()
        visit.wait_state("setting.data === 'file:1'")
        visit.settle()
        assert visit.state("data.target") == "bill_depth_mm"
        check_optimum(visit, PENGUINS, "bill_depth_mm", ["bill_length_mm"])
        expect(page.locator("#data-title")).to_contain_text("penguins")
        visit.close()


def test_rows_left_out_are_told_at_every_width(visit: Visit) -> None:
    page = visit.open("#v=1&data=penguins&standardize=true")
    words = page.locator("#data-story")
    for width in (400, 700, 1100, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        expect(words).to_be_visible()
        expect(words).to_contain_text("342 rows; 2 more left out")
        expect(page.locator("#data-title")).to_be_visible()
    with visit.new_run():
        upload(visit, raw("gap.csv", "x,y\n1,2\n2,\n3,5\n4,6\n"))
    said = "3 rows; 1 more left out, where a value is missing."
    expect(words).to_have_text(said)
    expect(page.locator("#open-data")).to_have_attribute("title", said)
