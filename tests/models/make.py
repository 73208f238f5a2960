"""Model files as this version of gradline writes them, for all later ones to load.

    python tests/models/make.py v0.2.0

makes the folder v0.2.0 beside this file: a model file for each kind of fit, and
expected.json with what each predicts, scores and infers for the rows in DATA. Run it
once, at a release, and never again: the files are those that people have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gradline as gl
from gradline.save import strict_json

#: What the models are fitted on and predict for.
DATA: dict[str, list[Any]] = {
    "size": [1.0, 2.0, 4.0, 5.0, 7.5, 8.0, 9.25, 11.0, 12.5, 13.0, 15.5, 16.0],
    "age": [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.5, 6.0, 5.5, 3.5, 8.0, 9.5],
    "town": [*"UBUJJBUUJBBJ"],
    "rooms": [1, 2, 2, 3, 3, 3, 1, 2, 1, 3, 2, 1],
    "w": [1.0, 2.0, 1.0, 1.0, 0.5, 3.0, 1.0, 1.5, 2.0, 1.0, 1.0, 0.5],
    "price": [1.5, 3.0, 2.5, 6.0, 7.0, 9.0, 8.5, 9.5, 14.0, 12.0, 16.5, 17.0],
}

#: A fit for each field that a model file may have.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"features": ["size", "age"]},
    "categories": {"features": ["size", "town", "rooms"], "categories": ["rooms"]},
    "weights": {"features": ["size", "age"], "weights": "w"},
    "no-intercept": {"features": ["size", "town"], "intercept": False},
    "descent": {
        "features": ["size", "age"],
        "method": "gd",
        "epochs": 20,
        "seed": 0,
    },
    "minibatch": {
        "features": ["size", "age"],
        "method": "sgd",
        "batch_size": 4,
        "epochs": 20,
        "seed": 0,
    },
    "ridge": {"features": ["size", "age"], "penalty": "ridge", "alpha": 0.5},
    "lasso": {"features": ["size", "age"], "penalty": "lasso", "alpha": 0.1},
    "huber": {"features": ["size", "age"], "loss": "huber"},
    "split": {"features": ["size"], "split": gl.Split(test=0.3, seed=1)},
    "formula": {
        "formula": "log(price) ~ poly(size, 2)*town + scale(age) + C(rooms)",
        "target": None,
    },
    "degree": {"features": ["size", "age"], "degree": 2},
    "network": {
        "features": ["size", "age"],
        "lr": 0.05,
        "epochs": 20,
        "seed": 0,
    },
}


def network() -> torch.nn.Module:
    """The module of the fit called "network"."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    )


def known_of(fit: gl.Fit) -> dict[str, Any]:
    """What a fit says, as JSON has it."""
    errors = None
    if fit.no_inference is None:
        errors = fit.inference().standard_errors
    return {
        "predictions": fit.predict(DATA).tolist(),
        "rmse": fit.evaluate(DATA).rmse,
        "standard_errors": errors,
        "coefficients": fit.coefficients,
        "intercept": fit.intercept if np.isfinite(fit.intercept) else None,
        "status": str(fit.certificate.status),
        "method": fit.method,
        "rows": fit.rows,
        "epochs": None if fit.trace is None else len(fit.trace.epochs),
    }


def make(folder: Path) -> None:
    """Write all model files, and what is to be expected of them."""
    folder.mkdir()
    expected = {}
    for name, options in KINDS.items():
        given: dict[str, Any] = {"target": "price"} | options
        if name == "network":
            given["model"] = network()
        fit = gl.fit(DATA, **given)
        fit.save(folder / f"{name}.safetensors")
        expected[name] = known_of(fit)
    text = strict_json({"version": folder.name, "models": expected}, indent=1)
    (folder / "expected.json").write_text(text + "\n", "utf-8")
    assert json.loads(text)["models"].keys() == KINDS.keys()


if __name__ == "__main__":
    make(Path(__file__).parent / sys.argv[1])
