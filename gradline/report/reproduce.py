"""How to do a fit again: the Python, from what the fit knows of itself."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradline import __version__
from gradline.objective import Absolute

if TYPE_CHECKING:
    from gradline.result import Fit


def python_lines(
    fit: Fit,
    data: str | None,
    cov: object = "classic",
    most: int | None = None,
    reading: Mapping[str, str] | None = None,
) -> str:
    """A call of gl.fit that makes this fit again.

    Args:
        fit: the fit.
        data: the path of its data; None where they were in memory.
        cov: of its standard errors; other than the classic ones are asked for too.
        most: so many names of a list are written out, for paper; None for all.
        reading: how its CSV file was read: delimiter, encoding, decimal, as given.
    """
    given = _arguments(fit) | dict(reading or {})
    head = "import gradline as gl\n\n"
    if fit._network is not None:
        head = (
            f"import gradline as gl\n\n# model: a {fit.settings.get('module')} "
            "like the one that was trained\n"
        )
        given["model"] = Bare("model")
    if data is None:
        lines = [f"    data,  # the rows of this fit: {fit.settings.get('data')!s:.60}"]
    else:
        lines = [f"    {data!r},"]
    for name, value in given.items():
        text = repr(value)
        if most is not None and isinstance(value, list) and len(value) > most:
            hidden = len(value) - most
            text = f"{value[:most]!r:.600} + [...],  # {hidden:,} more: in the file"
            lines.append(f"    {name}={text}")
            continue
        lines.append(f"    {name}={text},")
    foot = "" if cov == "classic" else f"inference = fit.inference({cov!r})\n"
    return f"{head}fit = gl.fit(\n" + "\n".join(lines) + f"\n)\n{foot}"


class Bare(str):
    """A name or a call, written as it stands."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _arguments(fit: Fit) -> dict[str, Any]:
    design, s = fit.design, fit.settings
    found: dict[str, Any] = {}
    encoding = design.encoding
    if encoding is not None and encoding.text:
        found["formula"] = encoding.text
    else:
        found["target"] = design.target
        found["features"] = list(design.features)
        if encoding is not None:
            found["degree"] = encoding.degree
    if design.levels and (encoding is None or not encoding.text):
        found["categories"] = list(design.levels)
    if design.weights is not None:
        found["weights"] = design.weights
    if not design.intercept and not (encoding is not None and encoding.text):
        found["intercept"] = False
    if design.missing != "error":
        found["missing"] = design.missing
    if "split" in s:
        names = ("validation", "test", "column", "time", "group", "seed")
        told = {n: s["split"].get(n) for n in names}
        inside = ", ".join(f"{n}={v!r}" for n, v in told.items() if v not in (None, 0))
        found["split"] = Bare(f"gl.Split({inside})")
    if s.get("early_stopping"):
        known = s["early_stopping"]
        found["early_stopping"] = Bare(
            f"gl.EarlyStopping(patience={known['patience']}, "
            f"min_delta={known['min_delta']})"
        )
    found |= _way(fit, s)
    return found


def _way(fit: Fit, s: dict[str, Any]) -> dict[str, Any]:
    """How it was found."""
    if fit.method == "penalized":
        return _penalty(s)
    found: dict[str, Any] = {}
    if fit.method == "robust":
        found["loss"] = _loss(s)
    elif fit.method == "sgd":
        found["loss"] = _loss_of_title(fit.certificate.objective)
    if fit.method in ("gd", "sgd", "network"):
        found["method"] = fit.method if fit.method != "network" else None
        epochs = s.get("epochs")
        if s.get("early_stopping"):
            epochs = s["early_stopping"].get("epochs", epochs)
        found |= {"lr": s.get("lr"), "epochs": epochs}
        plain = s.get("optimizer") == "SGD" and found.get("loss") is None
        if s.get("lr_found") and not plain:
            found["lr"] = None  # such a run begins elsewhere than one with a rate given
        found |= {n: s.get(n) for n in ("standardize", "seed", "momentum", "dampening")}
        found |= {"nesterov": s.get("nesterov"), "weight_decay": s.get("weight_decay")}
        found["optimizer"] = None if s.get("optimizer") == "SGD" else s.get("optimizer")
        found["optimizer_options"] = s.get("optimizer_options") or None
        found |= {n: s.get(n) for n in ("batch_size", "schedule", "shuffle", "average")}
        if fit.method != "sgd":
            for name in ("schedule", "shuffle", "average"):
                found.pop(name)
        keep = ("standardize", "seed", "shuffle", "average")
        found = {
            n: v
            for n, v in found.items()
            if v is not None and (n in keep or v not in (0, False, "constant"))
        }
    return found


def _penalty(s: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if s.get("penalty"):
        found = {"penalty": s["penalty"], "alpha": s["alpha"]}
        if s["penalty"] == "elastic_net":
            found["l1_ratio"] = s["l1_ratio"]
        if s.get("standardize") is False:
            found["standardize"] = False
    if s.get("bounds"):
        found["bounds"] = {k: tuple(v) for k, v in s["bounds"].items()}
    return found


def _loss(s: dict[str, Any]) -> Any:
    name = s.get("loss")
    if name == "quantile" and "level" in s:
        return f"quantile:{s['level']:g}"
    if name == "huber" and "epsilon" in s:
        scale = s.get("scale")
        return f"huber:{s['epsilon']!r}" + (f":{scale!r}" if scale else "")
    return name


def _loss_of_title(title: str) -> str | None:
    """The loss of minibatches, which know it by its title: see objective.py."""
    if title == Absolute().title:
        return "absolute"
    kind, _, numbers = title.partition(" loss at ")
    if kind == "quantile":
        return f"quantile:{numbers}"
    if kind == "Huber":
        return f"huber:{numbers.replace(', scale ', ':')}"
    return None


def versions() -> dict[str, str]:
    """What it ran on."""
    import numpy as np
    import torch

    return {
        "gradline": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
