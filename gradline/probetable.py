"""What a person sees of a probe in a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from gradline.layout import TABLE_WIDTH, WIDTH, number, printable, rounded, table_of
from gradline.probescores import MOST_SHOWN

if TYPE_CHECKING:
    from gradline.probe import Probe


def probe_table(probe: Probe) -> str:
    """A line for each output, the certificate, and what to watch, as text."""
    head = "".join(what_words(probe))
    words = alpha_words(probe)
    lines = textwrap.wrap(head, TABLE_WIDTH)
    lines += ["", *_outputs(probe)] if words is None else [words, "", *_outputs(probe)]
    lines += ["", *_certificate(probe)]
    for note in probe.notes:
        lines += textwrap.wrap(f"Note: {printable(note)}", WIDTH)
    return "\n".join(lines)


def what_words(probe: Probe) -> tuple[str, str]:
    """What is predicted, and what from and how."""
    found = probe.cross_validation
    what = f"{len(probe.classes):,} classes" if probe.classes else _targets(probe)
    head = f" from {probe.features:,} feature"
    head += "" if probe.features == 1 else "s"
    head += f", {probe.rows:,} rows, ridge"
    if found is None:
        return what, f"{head}, alpha {number(float(probe.alpha[0]), 4)}"
    rule = ", one standard error" if found.rule == "1se" else ""
    return what, f"{head}, {len(found.alphas):,} alphas by {found.folds}{rule}"


def _targets(probe: Probe) -> str:
    return f"{probe.outputs:,} target{'' if probe.outputs == 1 else 's'}"


def _shared(probe: Probe) -> bool:
    found = probe.cross_validation
    return found is not None and found.shared and probe.outputs > 1


def alpha_words(probe: Probe) -> str | None:
    """The alpha that all outputs share, with the error on rows held out; or None."""
    found = probe.cross_validation
    if found is None or not _shared(probe):
        return None
    at = int(found.chosen[0])
    error = float(found.mean[at].mean())
    share = 1 - error / max(float(found.variance.mean()), 1e-300)
    return (
        f"alpha {number(float(probe.alpha[0]), 4)} for all outputs: mean squared error "
        f"{rounded(error, 5)} on rows held out, R² {number(share, 4)}"
    )


def output_columns(probe: Probe) -> dict[str, list[str]]:
    """What is known of each output, of the first ones: cells by the column's head."""
    count = min(probe.outputs, MOST_SHOWN)
    columns = {}
    if probe.classes:
        share = (probe.state.y_mean + 1) / 2
        columns["share of rows"] = [f"{100 * s:.1f}%" for s in share[:count]]
    found = probe.cross_validation
    if found is None:
        size = np.linalg.norm(probe.module.weight.detach().cpu().double(), axis=1)
        columns["norm of weights"] = [rounded(float(s), 4) for s in size[:count]]
    else:
        if not _shared(probe):
            columns["alpha"] = [number(float(a), 4) for a in probe.alpha[:count]]
        columns["RMSE held out"] = [rounded(float(v), 5) for v in found.rmse[:count]]
        columns["R² held out"] = [number(float(v), 4) for v in found.r2[:count]]
    return columns


def _outputs(probe: Probe) -> list[str]:
    """A line for each output."""
    names = list(probe.names[:MOST_SHOWN])
    kind = "class" if probe.classes else "target"
    lines, _ = table_of(names, output_columns(probe), kind)
    more = probe.outputs - len(names)
    return lines + [f"  ... and {more:,} more"] * (more > 0)


def certificate_pairs(probe: Probe) -> list[tuple[str, str]]:
    """What is known of the layer, by name."""
    c = probe.certificate
    dtype = str(probe.module.weight.dtype).removeprefix("torch.")
    share = f" ({number(c.relative_gap, 3)} of the optimum)" if c.gap else ""
    if 0 < 2 * c.relative_gap * c.optimum_loss < c.gap:
        share = ""  # it is a share of what rounding makes, not of the optimum
    return [
        ("objective", f"{number(c.loss)} ({c.objective})"),
        ("gap", f"{number(c.gap, 3)}{share}: the rounding of the layer to {dtype}"),
        ("condition", f"{number(c.condition, 4)} (standardised features)"),
        ("rank", f"{c.rank:,} of {c.columns:,} columns, the bias among them"),
        ("digits to trust", f"{number(c.digits, 3)} (rounding alone, not noise)"),
        (
            "lr limit",
            f"{number(c.lr_limit, 4)} for gradient descent on these features, had you "
            "needed it",
        ),
    ]


def _certificate(probe: Probe) -> list[str]:
    """What is known of the layer, a fact a line, the advice first."""
    c, pairs = probe.certificate, certificate_pairs(probe)
    title = f"Certificate: {str(c.status).replace('_', ' ')}. {printable(c.advice)}"
    lines = textwrap.wrap(title, WIDTH, break_long_words=False)
    wide = max(len(name) for name, _ in pairs)
    return lines + [f"  {name:<{wide}}  {value}" for name, value in pairs]
