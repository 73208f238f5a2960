"""How the lab looks and reads: light, dark, on a phone; labels, focus, contrast."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from browser import Visit

SIZES = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 375, "height": 780},
        "device_scale_factor": 2,
        "has_touch": True,
    },
    "projector": {"viewport": {"width": 1920, "height": 1080}},
}

#: Texts that are cut off: wider or higher than their box, which hides the rest. Those
#: that end in an ellipsis on purpose say their whole text elsewhere.
CLIPPED = """() => {
  const cut = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest(".unseen, .skip, svg")) continue;
    const style = getComputedStyle(e);
    if (style.overflowX === "visible" || style.textOverflow === "ellipsis") continue;
    if (style.overflowX !== "hidden" && style.overflowX !== "clip") continue;
    if (e.clientWidth <= 1) continue; // for screen readers
    if (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2)
      cut.push(e.tagName + "#" + e.id + "." + e.className + ": " + e.textContent);
  }
  return cut;
}"""

#: Controls that lie over each other: each pair whose boxes share more than a pixel.
OVERLAPPING = """() => {
  const seen = { opacityProperty: true, visibilityProperty: true };
  const all = [...document.querySelectorAll(
    "button, select, input:not(.unseen), label, h1, h2, output, dt, dd, .reason",
  )].filter((e) => e.checkVisibility(seen)
    && !e.closest(".unseen, .skip, dialog, [popover]"));
  const pinned = (e) => {
    for (let at = e; at; at = at.parentElement)
      if (["fixed", "sticky"].includes(getComputedStyle(at).position)) return at;
    return null;
  };
  const pins = all.map(pinned);
  const boxes = all.map((e) => e.getBoundingClientRect());
  const found = [];
  for (let i = 0; i < all.length; i++) {
    for (let j = i + 1; j < all.length; j++) {
      if (all[i].contains(all[j]) || all[j].contains(all[i])) continue;
      if (pins[i] !== pins[j]) continue; // one scrolls away under the other
      const [a, b] = [boxes[i], boxes[j]];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1.5 && high > 1.5)
        found.push([all[i], all[j]].map((e) =>
          e.tagName + "#" + e.id + "." + e.className + ": "
          + e.textContent.slice(0, 20)).join("  over  "));
    }
  }
  return found;
}"""

#: Contrast of every text that is seen, WCAG 2.2; those below what they need.
FAINT = """() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = getComputedStyle(at).backgroundColor;
      const p = c.startsWith("rgb") ? parts(c) : null;
      if (p && (p[3] ?? 1) > 0.99) return p;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    if (e.closest(".unseen, .skip, svg, option")) continue;
    if (e.closest(":disabled, [data-off]")) continue; // WCAG asks nothing of these
    const style = getComputedStyle(e);
    const [a, b] = [light(parts(style.color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5))
      found.push(`${ratio.toFixed(2)} ${e.tagName}#${e.id}.${e.className}: `
        + e.textContent.slice(0, 30));
  }
  return found;
}"""

#: Controls without a name, labels of nothing, ids twice, pictures without words.
NAMELESS = """() => {
  const found = [];
  const text = (id) => document.getElementById(id)?.textContent.trim();
  for (const e of document.querySelectorAll(
    "button, input, select, textarea, canvas, a[href], [role=application], progress",
  )) {
    if (!e.checkVisibility()) continue;
    const by = (e.getAttribute("aria-labelledby") ?? "").split(" ").map(text).join("");
    const label = [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("");
    const inner = e.matches("button, a") ? e.textContent.trim() : "";
    if (!by && !e.getAttribute("aria-label") && !label && !inner)
      found.push("no name: " + e.outerHTML.slice(0, 80));
  }
  const refs = ["for", "aria-labelledby", "aria-describedby", "aria-controls"];
  for (const name of refs)
    for (const e of document.querySelectorAll(`[${name}]`))
      for (const id of e.getAttribute(name).split(" "))
        if (!document.getElementById(id)) found.push(`${name} of nothing: ${id}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids)
    if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push("twice: " + id);
  for (const e of document.querySelectorAll("img:not([alt])"))
    found.push("no alt: " + e.src);
  if (document.querySelectorAll("main, [role=main]").length !== 1) found.push("main");
  if (document.querySelectorAll("h1").length !== 1) found.push("h1");
  if (!document.documentElement.lang) found.push("lang");
  return found;
}"""


def check(page: Page) -> None:
    """Nothing sticks out, is cut, lies over another, or is too faint."""
    wide = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide[0] <= wide[1]
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(OVERLAPPING) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []


def picture(page: Page, place: str) -> Any:
    """What is on the screen there, as (h, w, 3)."""
    shot = page.locator(place).screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_or_faint(browser: Browser, address: str, size: str) -> None:
    visit = Visit(browser, address, reduced_motion="reduce", **SIZES[size])
    page = visit.open()
    visit.give("validation", 0.3)
    visit.scrub(60)
    page.wait_for_timeout(300)
    check(page)
    for view in ("#data-view", "#surface-view", "#curve-view"):
        seen = picture(page, view)
        assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 30, f"{view} is blank"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dark = sum(int(v) for v in ground[4:-1].split(",")) < 300
        assert dark == (size == "dark")
        assert (np.median(seen) < 100) == dark, "the picture has the other theme"
    expect(page.locator("#code-view")).to_contain_text("loss.backward()")

    # With more on the page: a divergence in words, and a panel at the side.
    visit.rate(5.0)
    page.locator("#open-gallery").click()
    check(page)
    page.locator("#open-lesson").click()
    visit.settle()
    page.wait_for_timeout(100)
    check(page)
    if size != "projector":
        page.keyboard.press("Escape")
        page.locator("#open-data").click()
        check(page)
    visit.close()


def test_the_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = visit.open()
    theme = page.locator("#theme")
    seen = []
    for word in ("light", "dark"):
        theme.click()
        expect(theme).to_have_attribute("aria-label", f"Theme: {word}")
        page.wait_for_timeout(100)
        seen.append(np.median(picture(page, "#data-view")))
    assert seen[0] > 200
    assert seen[1] < 80
    page.reload()
    visit.wait("window.gradlineLab?.store?.frame != null")
    expect(theme).to_have_attribute("aria-label", "Theme: dark")


def test_tab_comes_by_every_control_in_order(visit: Visit) -> None:
    page = visit.open("#v=1&step=5")
    visit.frame_at(5)
    wanted = page.evaluate(
        """() => [...document.querySelectorAll(
            "button, select, input, a[href], canvas[tabindex='0']",
        )].filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled
            && e.tabIndex >= 0 && !(e.type === "radio" && !e.checked))
          .map((e, i) => (e.dataset.tab = String(i)))"""
    )
    came, boxes = [], []
    for _ in range(len(wanted)):
        page.keyboard.press("Tab")
        here = page.evaluate(
            """() => {
                const e = document.activeElement;
                const style = getComputedStyle(e);
                const ring = style.outlineStyle !== "none"
                  && style.outlineWidth !== "0px";
                const drawn = e.matches(".skip, .segments input, .switch input");
                return [e.dataset.tab ?? e.tagName + e.id,
                  ring || style.boxShadow !== "none" || drawn,
                  e.outerHTML.slice(0, 90)];
            }"""
        )
        came.append(here[0])
        boxes.append(here)
    assert came == wanted
    assert [b[2] for b in boxes if not b[1]] == [], "nothing shows the focus there"


def test_pictures_are_told_in_words(visit: Visit) -> None:
    page = visit.open()
    visit.scrub(12)
    page.wait_for_timeout(800)
    for view, words in {
        "data": ["100 points", "slope"],
        "surface": ["12 steps", "steeper"],
        "curve": ["loss begins at", "step 12"],
    }.items():
        canvas = page.locator(f"#{view}-view")
        assert canvas.get_attribute("aria-describedby") == f"words-{view}"
        for word in words:
            expect(page.locator(f"#words-{view}")).to_contain_text(word)
    slope = visit.state("frame.parameters[0]")
    expect(page.locator("#words-data")).to_contain_text(f"slope {slope:.3g}")


def test_a_touch_adds_a_point(browser: Browser, address: str) -> None:
    visit = Visit(browser, address, reduced_motion="reduce", **SIZES["phone"])
    page = visit.open()
    page.locator("#data-view").scroll_into_view_if_needed()
    low, high = page.evaluate("gradlineLab.stage.views[0].plot.yLimits")
    with visit.new_run():
        page.touchscreen.tap(*visit.spot(0, 0.2, high - 0.05 * (high - low)))
    assert visit.state("data.rows") == 101
    visit.close()


def test_less_motion_means_nothing_moves_by_itself(visit: Visit) -> None:
    page = visit.open()
    page.wait_for_timeout(100)
    before = page.evaluate("gradlineLab.stage.frames")
    with visit.new_run():
        page.locator("#standardize").check()
    page.wait_for_timeout(300)
    # Drawn anew, and not a morph's two dozen pictures.
    assert page.evaluate("gradlineLab.stage.frames") - before < 8
    running = page.evaluate("document.getAnimations().length")
    assert running == 0
