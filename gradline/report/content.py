"""What a report is made of, and the frame of each of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gradline.inference import Inference
from gradline.report.charts import Picture
from gradline.report.coefficients import Effects
from gradline.report.markup import Markup, el
from gradline.report.residuals import Seen
from gradline.reported import Finding

if TYPE_CHECKING:
    from gradline.result import Fit


@dataclass(frozen=True)
class Content:
    """All that a report is made of."""

    fit: Fit
    seen: Seen | None
    inference: Inference | None
    effects: Effects
    findings: list[Finding]
    features: int
    picture: Picture | None
    residuals: list[Picture]
    partials: list[Picture]
    losses: list[Picture]
    surface: Picture | None
    data: str | None
    reading: dict[str, str]
    fingerprint: str | None
    command: str | None
    now: datetime


def section(key: str, title: str, *inside: Markup | None) -> Markup:
    """A heading, and what is below it; None is nothing."""
    heading = el("h2", title, id=f"h-{key}")
    return el("section", heading, *inside, aria_labelledby=f"h-{key}")
