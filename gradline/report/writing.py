"""From a fit to the file: collects, draws, and puts the page together."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from gradline.data import Array, Progress, Source, csv_options
from gradline.errors import DataError
from gradline.files import InputFile, replacing
from gradline.inference import Inference
from gradline.report.charts import fit_picture, partial_pictures, residual_pictures
from gradline.report.coefficients import Effects, effects
from gradline.report.content import Content
from gradline.report.descent import loss_pictures, surface_picture
from gradline.report.findings import findings
from gradline.report.markup import Markup, clean, short
from gradline.report.panels import MOST_PANELS, panels_of, some_terms
from gradline.report.residuals import PLACE, Seen, look
from gradline.report.sections import body
from gradline.reported import Finding, Report, page_name

if TYPE_CHECKING:
    from gradline.result import Fit

#: No report weighs more, in bytes.
MOST_BYTES = 300_000


def write_report(
    fit: Fit,
    path: str | Path,
    *,
    source: Source | None = None,
    inference: Inference | None = None,
    file: str | Path | None = None,
    command: Sequence[str] | None = None,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Report:
    """Write the report of a fit into one HTML file, whole or not at all.

    Args:
        fit: the fit.
        path: where to.
        source: the rows it was fitted on; None leaves out the pictures of rows.
        inference: what to say of the coefficients; the classic kind unless told.
        file: of the data, for its fingerprint.
        command: words of the command line that made it.
        progress: True for a bar; or what is told how reading gets on.
        now: the date it bears; now unless told.

    Returns:
        A Report.

    Raises:
        DataError: the rows are not those of the fit.
        FileError: it cannot be written; what was there before is untouched.
        UsageError: its name ends in neither .html nor .htm.
    """
    page_name(path)
    with replacing(path) as beside:
        text, seen, told, pictures = _page(
            fit, source, inference, file, command, progress, now or datetime.now()
        )
        data = text.encode("utf-8")
        beside.write_bytes(data)
    rows = 0 if seen is None else seen.count
    return Report(str(path), len(data), tuple(told), rows, pictures)


def _page(
    fit: Fit,
    source: Source | None,
    inference: Inference | None,
    file: str | Path | None,
    command: Sequence[str] | None,
    progress: Progress | None,
    now: datetime,
) -> tuple[str, Seen | None, list[Finding], int]:
    X = some_terms(fit, source)
    ranked = panels_of(fit, X)
    seen = None
    if source is not None:
        seen = look(fit, source, ranked[:MOST_PANELS], progress)
    if inference is None and fit.no_inference is None:
        inference = fit.inference()
    moved = effects(fit, X)
    told = _heeded(findings(fit, seen), inference)
    head = _title(fit)
    # What is drawn shrinks until the page is as light as it has to be.
    for panels in (MOST_PANELS, 4, 2, 0):
        content = Content(
            fit=fit,
            seen=seen,
            inference=inference,
            effects=moved,
            findings=told,
            features=len(ranked),
            picture=None if seen is None else fit_picture(fit, seen),
            residuals=_residuals(fit, seen),
            partials=[] if seen is None else partial_pictures(fit, seen, panels),
            losses=loss_pictures(fit),
            surface=_surface(fit, moved),
            data=None if file is None else str(file),
            reading={} if source is None else csv_options(source),
            fingerprint=None if file is None else _fingerprint(file),
            command=None if command is None else shlex.join(["gradline", *command]),
            now=now,
        )
        text = _template(head, body(content), seen)
        if len(text.encode()) <= MOST_BYTES:
            break
    return text, seen, told, text.count('class="plot"')


def _heeded(told: list[Finding], inference: Inference | None) -> list[Finding]:
    """What was found, without the advice that this report follows already."""
    if inference is None or inference.cov == "classic":
        return told
    kind = "clustered" if inference.clusters is not None else inference.cov
    known = (
        f"The standard errors here, {kind}, allow for it; prediction intervals do not."
    )
    heeded = ["heteroscedastic"]
    if inference.clusters is not None:
        heeded.append("neighbours_alike")
    return [f._replace(advice=known) if f.name in heeded else f for f in told]


def _title(fit: Fit) -> str:
    return f"{short(fit.target, 40)}: a linear fit"


def _residuals(fit: Fit, seen: Seen | None) -> list[Any]:
    if seen is None or seen.scale <= 1e-13 * max(abs(fit.level or 0.0), 1e-300):
        return []
    return (
        []
        if not seen.standard.x.high > seen.standard.x.low
        else residual_pictures(fit, seen)
    )


def _surface(fit: Fit, moved: Effects) -> Any:
    """Over the two coefficients that move the prediction most."""
    names = list(fit.coefficients)
    if len(names) >= 2:
        pair = names[moved.order[0]], names[moved.order[1]]
    elif names and fit.design.intercept:
        pair = names[0], "Intercept"
    else:
        return None
    return surface_picture(fit, pair)


def _fingerprint(file: str | Path) -> str | None:
    """SHA-256 of a file; None for a folder, or a pattern."""
    if not Path(file).is_file():
        return None
    found = hashlib.sha256()
    opened = InputFile(file)
    with opened.reading(), opened.path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _template(title: str, inside: Markup, seen: Seen | None) -> str:
    here = files("gradline.report")
    style = (here / "style.css").read_text(encoding="utf-8")
    script = (here / "hover.js").read_text(encoding="utf-8")
    page = Template((here / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=clean(title),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        skipped=_skipped(seen),
        body=inside,
    )


def _hash(text: str) -> str:
    """As a content security policy names a text that may run."""
    found = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(found).decode()}"


def _skipped(seen: Seen | None) -> str:
    """The places of rows that are drawn of no row: what hover.js counts past."""
    if seen is None or seen.rows is None:
        return ""
    places: Array = seen.rows[:, PLACE]
    gaps = np.setdiff1d(np.arange(int(places.max()) + 1), places.astype(np.int64))
    return " ".join(str(int(g)) for g in gaps[:3000])


def rows_of(fit: Fit, source: Source | None) -> Source | None:
    """The training part of some data, by the fit's own split."""
    if source is None or "split" not in fit.settings:
        return source
    from gradline.splits import Split

    known = {k: v for k, v in fit.settings["split"].items() if v is not None}
    try:
        return Split(**known).part(source, "train")
    except TypeError:
        raise DataError("the split of the model is not one that is known") from None


def report_of(
    fit: Fit, path: str | Path, given: dict[str, Any], **options: Any
) -> Report:
    """The report of a fit on its own rows, or on those that are given.

    Args:
        fit: the fit.
        path: where to.
        given: data, y, weights and reading, as in `Fit.report`.
        **options: as in `write_report`.
    """
    data = given["data"]
    source = fit._training(data, given["y"], given["weights"], given["reading"])
    if data is not None:
        source = rows_of(fit, source)
        if isinstance(data, (str, Path)):
            options.setdefault("file", data)
    page_name(path)
    _score_validation(fit, data, given)
    return write_report(fit, path, source=source, **options)


def _score_validation(fit: Fit, data: Any, given: dict[str, Any]) -> None:
    """Score the validation part, where its rows are at hand and nobody has yet."""
    counts = fit.settings.get("parts") or {}
    if "validation" in fit.scores or not counts.get("validation"):
        return
    if data is None and fit.has_part("validation"):
        fit.evaluate(part="validation")
    elif isinstance(data, (str, Path)):
        scores = fit.evaluate(data, part="validation", **given["reading"])
        fit.remember("validation", scores)
