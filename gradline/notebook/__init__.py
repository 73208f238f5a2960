"""What a notebook shows of a fit and its kin: HTML from their `_repr_html_`.

Each is one piece that needs nothing else: no script, no other file. Names of columns
are escaped. Whatever asks for `_repr_html_`, as Jupyter does, shows it.
"""

from gradline.notebook.fits import (
    certificate_html,
    fit_html,
    inference_html,
    influence_html,
    intervals_html,
    scores_html,
)
from gradline.notebook.probes import probe_html, probe_scores_html
from gradline.notebook.results import (
    crossval_html,
    learning_html,
    path_html,
    quantiles_html,
    surface_html,
    trace_html,
    tuning_html,
    validation_html,
)

__all__ = [
    "certificate_html",
    "crossval_html",
    "fit_html",
    "inference_html",
    "influence_html",
    "intervals_html",
    "learning_html",
    "path_html",
    "probe_html",
    "probe_scores_html",
    "quantiles_html",
    "scores_html",
    "surface_html",
    "trace_html",
    "tuning_html",
    "validation_html",
]
