"""`gradline demo`: the lesson, end to end, and then what the lesson leaves out.

The lesson itself is lesson.py beside this file, which the demo hands to the reader.
Here the same is done with gradline's own parts, drawn, scored and certified.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradline.data import Array
from gradline.descent import descend
from gradline.errors import FileError
from gradline.files import cannot_write, replacing
from gradline.fitting import fit
from gradline.model import LinearRegression
from gradline.plots import (
    data_figure,
    fit_figure,
    learning_gif,
    loss_figure,
    save_figure,
)
from gradline.result import Fit
from gradline.scores import Scores
from gradline.summary import summary
from gradline.synth import sample_linear_data
from gradline.terminal import certificate_lines, scores_line

# The lesson's own numbers; lesson.py has the same, and a test holds them together.
N, SLOPE, INTERCEPT, NOISE = 100, 1.0, 0.0, 0.1
LEARNING_RATE, EPOCHS, PRINT_EVERY = 0.1, 1000, 100
SEED = 47

#: The share of the points that is held out: scored, never learned from.
HELD_OUT = 0.2

#: What the demo writes, in the order in which it does.
FILES = (
    "data.csv",
    "data.png",
    "lesson.py",
    "loss.png",
    "fit.png",
    "learning.gif",
    "model.safetensors",
)


def demo(folder: str | Path, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Run the lesson and write its files into `folder`.

    Ctrl-C during the training keeps what was learned so far.

    Args:
        folder: made if it is not there; files of the same names are replaced.
        say: is given each line of the story.

    Returns:
        A JSON-ready object: the summary of the fit, the held-out scores, the files.

    Raises:
        FileError: the folder or a file cannot be written.
    """
    folder = _make(Path(folder))
    paths = {name: folder / name for name in FILES}

    say(f"1. Data: {N} points on y = {SLOPE:g}·x + {INTERCEPT:g}, noise {NOISE}.")
    x, y = sample_linear_data(N, SLOPE, INTERCEPT, NOISE, seed=SEED)  # both (n,)
    write_csv(paths["data.csv"], x, y)
    truth = (SLOPE, INTERCEPT)
    save_figure(data_figure(x, y, truth=truth), paths["data.png"])
    with replacing(paths["lesson.py"]) as beside:
        beside.write_bytes(Path(__file__).with_name("lesson.py").read_bytes())

    torch.manual_seed(SEED)
    model = LinearRegression(dtype=torch.float64)
    begin = LinearRegression(dtype=torch.float64)
    begin.load_state_dict(model.state_dict())
    say(f"2. Model: a random line, y = {_line(model)}.")

    say(f"3. Training: {EPOCHS} epochs of the five steps, SGD, lr {LEARNING_RATE}.")
    steps, interrupted = [], False
    try:
        for step in descend(model, x, y, lr=LEARNING_RATE, epochs=EPOCHS):
            steps.append((step.epoch, step.loss))
            if step.epoch % PRINT_EVERY == 0:
                say(f"   epoch {step.epoch:5d}   loss {step.loss:.6f}")
    except KeyboardInterrupt:
        interrupted = True
        say(f"   Stopped by Ctrl-C: what {len(steps)} epochs learned is kept.")
    done = steps[-1][0] if steps else 0

    # From here on the same descent comes in closed form: every epoch of it, from one
    # pass over the data. It agrees with the loop to rounding; path.py shows why.
    learned = fit(
        x, y, method="gd", lr=LEARNING_RATE, epochs=done, standardize=False, start=begin
    )
    trace = learned.trace
    assert trace is not None
    say(f"   The line is now y = {_line(model)}.")
    optimum = learned.certificate.optimum_loss
    loss_picture = loss_figure(trace.epochs, trace.losses, optimum=optimum)
    save_figure(loss_picture, paths["loss.png"])

    say("4. Prediction, in evaluation mode and inference mode: the red line.")
    model.eval()
    with torch.inference_mode():
        ends = model(torch.tensor([0.0, 1.0], dtype=torch.float64))  # (2,)
    slope, intercept = float(ends[1] - ends[0]), float(ends[0])
    picture = fit_figure(x, y, slope, intercept, truth=truth)
    save_figure(picture, paths["fit.png"])
    learning_gif(
        paths["learning.gif"],
        x,
        y,
        trace.weights[:, 0],
        trace.intercepts,
        trace.losses,
        epochs=trace.epochs,
        truth=truth,
        optimum=optimum,
    )

    say("What the lesson leaves out:")
    held_out = _score_held_out(x, y, done)
    say(f"5. Testing: learned again from {N - held_out.rows} points, scored on")
    say(f"   {held_out.rows} it has never seen: {scores_line(held_out)}.")
    say(f"   The noise alone makes an RMSE of {NOISE}: there is little left to learn.")
    say("6. Proof: the line against the exact optimum.")
    for line in certificate_lines(learned):
        say(f"   {line}")
    learned.save(paths["model.safetensors"])
    say(f"Written to {folder}{'/' if str(folder) != '/' else ''}: {', '.join(FILES)}")
    return {
        **summary(learned, str(paths["model.safetensors"])),
        "held_out": dict(held_out),
        "interrupted": interrupted,
        "files": {name: str(path) for name, path in paths.items()},
    }


def write_csv(path: Path, x: Array, y: Array) -> None:
    """Write the columns x and y, every digit of them."""
    lines = ["x,y"] + [
        f"{a!r},{b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    with replacing(path) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _score_held_out(x: Array, y: Array, epochs: int) -> Scores:
    """Hold out a random fifth, learn from the rest, score on what was held out."""
    order = np.random.default_rng(SEED).permutation(len(x))
    cut = round(HELD_OUT * len(x))
    test, train = order[:cut], order[cut:]
    honest: Fit = fit(
        x[train], y[train], method="gd", lr=LEARNING_RATE, epochs=epochs, seed=SEED
    )
    found = honest.evaluate(x[test], y[test])
    found.part = None  # the story says which rows these are
    return found


def _line(model: LinearRegression) -> str:
    slope, intercept = float(model.weight.detach()), float(model.bias.detach())
    sign = "-" if intercept < 0 else "+"
    return f"{slope:.4f}·x {sign} {abs(intercept):.4f}"


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if folder.exists() and not folder.is_dir():
            raise FileError(
                f"cannot write into {folder}: it is a file; name a folder with -o"
            ) from None
        raise cannot_write(folder, error) from None
    return folder
