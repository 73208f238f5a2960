"""What people type into the search box, and the page that answers it.

Sphinx ranks a page by its title, its index entries and then by its words, where one
page has as much to say as another. So what a newcomer looks for is an index entry here,
and comes first.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import index
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

WORDS = {
    "index": ["install", "installation", "pip", "getting started", "example data"],
    "lesson": ["learning rate", "gradient descent", "tutorial"],
    "lab": ["playground", "visualisation"],
    "your-csv": ["csv", "decimal comma", "encoding", "missing values"],
    "larger-than-memory": ["big data", "parquet", "out of memory"],
    "formulas": ["interaction", "polynomial", "categories"],
    "robust-losses": ["outliers", "median", "quantile", "huber", "quantile regression"],
    "penalties": ["ridge", "lasso", "elastic net", "regularization", "nonnegative"],
    "validating": ["cross-validation", "train test split", "overfitting"],
    "tuning": ["hyperparameters", "grid search", "optuna"],
    "learning-curves": ["early stopping", "underfitting"],
    "minibatches": ["sgd", "batch size", "momentum", "checkpoint"],
    "linear-probe": ["embeddings", "transfer learning"],
    "following": ["tensorboard", "mlflow", "progress bar"],
    "notebooks": ["jupyter"],
    "deploying": ["export", "onnx", "sql", "save a model"],
    "serving": ["http", "api"],
    "certificate": ["convergence", "condition number", "diverges"],
    "comparisons": ["speed", "benchmark"],
    "reference/fitting": ["gl.fit", "fit"],
    "reference/results": ["predict", "coefficients", "standard errors", "p-value"],
}


class Words(SphinxTransform):
    """Adds a page's entries to the index."""

    default_priority = 310

    def apply(self, **kwargs: Any) -> None:
        """At its title."""
        title = next(iter(self.document.findall(nodes.title)), None)
        words = WORDS.get(self.env.docname, [])
        if title is None or not words or not title.parent["ids"]:
            return
        place = title.parent["ids"][0]
        # "main": others come after all that holds the word
        entry = index(entries=[("single", w, place, "main", None) for w in words])
        title.parent.insert(title.parent.index(title) + 1, entry)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(Words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
