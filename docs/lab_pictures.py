"""Takes the pictures of the lab for README.md and docs/: docs/lab_pictures.py.

Run it with .venv/bin/python where Debian's Chromium is installed. It writes
docs/images/lab.png, a run of the lesson's own line, and lab.gif, what standardising a
feature does.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import Visit, chromium, lab  # noqa: E402

IMAGES = ROOT / "docs" / "images"


def still(visit: Visit, name: str, step: int) -> None:
    """One page as it is, few enough colours to be small."""
    visit.page.evaluate(f"window.gradlineLab.player.seek({step})")
    visit.page.wait_for_timeout(1_500)
    picture = Image.open(io.BytesIO(visit.page.screenshot()))
    picture = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(IMAGES / name, optimize=True)


def moving(visit: Visit, name: str) -> None:
    """A feature as it is: a canyon, and no way on. Standardised: a bowl, and done."""
    page, frames, durations = visit.page, [], []

    def take(milliseconds: int) -> None:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.append(picture.resize((880, 550), Image.Resampling.LANCZOS))
        durations.append(milliseconds)

    def walk(steps: list[int]) -> None:
        for step in steps:
            page.evaluate(f"window.gradlineLab.player.seek({step})")
            page.wait_for_timeout(150)
            take(100)

    raw = {"data": "penguins", "standardize": False, "lr": 2.4e-5, "epochs": 60}
    page.evaluate("change => window.gradlineLab.store.change(change)", raw)
    page.evaluate("window.gradlineLab.player.pause()")
    page.evaluate("window.gradlineLab.store.show({equal: false})")
    page.wait_for_timeout(1_500)
    walk([0, 0, 1, 2, 3, 4, 6, 9, 14, 20, 30, 45, 60])
    durations[-1] = 1_200
    page.evaluate("window.gradlineLab.store.change({standardize: true, lr: 0.1})")
    page.evaluate("window.gradlineLab.player.pause()")
    page.evaluate("window.gradlineLab.store.show({equal: true})")
    for _ in range(8):
        take(100)
    page.wait_for_timeout(800)
    walk([0, *range(24), 26, 29, 33, 38, 45, 60])
    durations[-1] = 2_500
    palette = _palette(frames)
    small = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    small[0].save(
        IMAGES / name,
        save_all=True,
        append_images=small[1:],
        duration=durations,
        loop=0,
        optimize=True,
    )


def _palette(frames: list[Image.Image]) -> Image.Image:
    """Colours for all frames: each colour counts once, however few its pixels."""
    seen = set()
    for frame in frames[::5]:
        step = [
            tuple(c // 8 * 8 for c in pixel) for pixel in frame.get_flattened_data()
        ]
        seen |= set(step)
    every = Image.new("RGB", (len(seen), 1))
    every.putdata(sorted(seen))
    return every.quantize(200)


def main() -> None:
    """Take them all."""
    with chromium() as browser, lab() as address:
        for scheme in ("light", "dark"):
            visit = Visit(browser, address, color_scheme=scheme)
            visit.open()
            visit.page.evaluate("window.gradlineLab.player.pause()")
            visit.page.wait_for_timeout(500)
            if scheme == "light":
                still(visit, "lab.png", 60)
            else:
                moving(visit, "lab.gif")
            visit.close()


if __name__ == "__main__":
    main()
