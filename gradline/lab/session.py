"""One page: messages in, messages out. It knows no network.

A page sends {"id": n, "type": ...}; each is answered with the same id.

    {"type": "set", "setting": {...}}              -> run     (settings.py)
    {"type": "frames", "run": r, "steps": [...]}   -> frames
    {"type": "certificate", "run": r, "step": k}   -> certificate
    {"type": "proof", "run": r, "step": k}         -> proof   (plain.py)
    {"type": "export", "run": r, "step": k, "what": ...}
                                                   -> export  (exports.py)
    {"type": "describe", "data": "file:2"}         -> describe (files.py)
    {"type": "close", "data": "file:2"}            -> close   (a file of the page's own)
    anything that cannot be done                   -> error   ("message": a sentence)

Frames are of steps that were asked for, each with its number: `partial` where some in
the run are not there yet; `mistake` told anew once a walk is at its end, else null. A
certificate is of `step`: `asked`, or where the run ended before it (`partial`); its
`perfect` as in optimum. Data has `dropped`, and `rows_said`, the rows in a sentence; a
file has `hint`, what may be wrong with how it was read, or null.

A run is answered as

    run      its number, to ask for its frames
    data     what to draw (bench.py), or null where it is as before
    closed, total, per_epoch, diverged             (runs.py); the unit is the step
    frames   enough steps to draw path and curve; of a long walk those known so far
    known    the last of them
    over_limit  whether lr is above a limit that surely makes the loss grow in the end
    exports  of each kind null, or the sentence that says why this run has none
    converged, needed   the step with a relative gap of 1e-8: in the run, and at all
    message  what to say about it, or null         (verdict.py)
    limits   stability limit, best lr, curvatures, condition, note
    objective   name of the loss; Huber's delta in units of the target, and the scale
             that the setting's delta is a multiple of; note: both in a sentence
    optimum  of that loss: parameters, inner, loss, validation loss; perfect: whether
             it is 0 but for rounding
    inner    scale and mean: how raw slopes and intercept become the coordinates of the
             descent: slope·scale, intercept + slopes·mean; standardised: both again as
             they would be if the features were standardised
    surface  axes, names; raw and standardised: centre, base, root of the squared loss
             (bench.py) in these coordinates; grid: another loss (grid.py), or null
    mistake  what is wrong, and the setting that is right (mistakes.py), or null
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gradline.errors import UsageError
from gradline.lab.answers import Desk
from gradline.lab.files import Files
from gradline.lab.jobs import Job
from gradline.lab.walks import warm


class Session:
    """The state behind one page.

    Args:
        files: what it has opened.
    """

    def __init__(self, files: Files | None = None) -> None:
        self.files = Files() if files is None else files
        self._job = Job()
        self._lock = threading.Lock()
        self._desk = Desk(self.files)
        # The first optimiser takes a second to import: before it is asked for.
        threading.Thread(target=warm, daemon=True).start()
        self.closed = False

    def answer(self, message: Any, job: Job | None = None) -> dict[str, Any]:
        """What a message is answered with, but for its id.

        Args:
            message: as above.
            job: stops it, and is told how it gets on; one at a time.

        Raises:
            GradlineError: it cannot be done; the text says why.
        """
        kind = message.get("type") if isinstance(message, dict) else None
        handlers: dict[Any, Callable[[Any], dict[str, Any]]] = {
            "set": self._set,
            "frames": lambda m: self._desk.frames(m, self._go_on),
            "certificate": lambda m: self._desk.certificate(m, self._go_on),
            "proof": lambda m: self._desk.proof(m, self._go_on),
            "export": lambda m: self._desk.export(m, self._go_on),
            "describe": self._describe,
            "close": self._close,
        }
        if not isinstance(kind, str) or kind not in handlers:
            raise UsageError(f"there is no message {kind!r:.40}")
        with self._lock:
            self._job = Job() if job is None else job
            return handlers[kind](message)

    def _go_on(self) -> bool:
        return not self.closed and self._job.go_on()

    def _describe(self, message: Any) -> dict[str, Any]:
        return {"type": "describe", **self.files.describe(message.get("data"))}

    def _close(self, message: Any) -> dict[str, Any]:
        self.files.shut(message.get("data"))
        return {"type": "close", "data": message.get("data")}

    def _set(self, message: Any) -> dict[str, Any]:
        setting = message.get("setting")
        data = setting.get("data") if isinstance(setting, dict) else None
        if isinstance(data, str) and data.startswith("file:"):
            self._job.about = f"reading {self.files[data].title}"
        return self._desk.set(message, self._go_on, self._job.progress)

    def close(self) -> None:
        """Let go of everything."""
        self.closed = True
        with self._lock:
            self._desk.close()
        self.files.close()
