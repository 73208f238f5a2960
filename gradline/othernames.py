"""What other libraries call what a fit has, and what it is called here."""

from __future__ import annotations

from collections.abc import Iterable

from gradline.errors import did_you_mean

_SLOPES = ("fit.coefficients", "fit.slopes")
_INTERVALS = ("fit.inference().intervals",)

#: Names of scikit-learn, statsmodels, R and Keras: what to type for each.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "coef_": _SLOPES,
    "coef": _SLOPES,
    "weights": _SLOPES,
    "params": ("fit.coefficients", "fit.intercept"),
    "intercept_": ("fit.intercept",),
    "bias": ("fit.intercept",),
    "feature_names_in_": ("list(fit.coefficients)",),
    "score": ("fit.evaluate(x, y)", "fit.metrics"),
    "summary": ("print(fit)", "print(fit.inference())"),
    "r2": ("fit.metrics.r2",),
    "rsquared": ("fit.metrics.r2",),
    "rmse": ("fit.metrics.rmse",),
    "loss": ("fit.metrics.rmse ** 2", "fit.trace.losses"),
    "history": ("fit.trace",),
    "resid": ("y - fit.predict(x)", "fit.influence()"),
    "residuals": ("y - fit.predict(x)", "fit.influence()"),
    "fittedvalues": ("fit.predict(x)",),
    "bse": ("fit.inference().standard_errors",),
    "tvalues": ("fit.inference().t",),
    "pvalues": ("fit.inference().p",),
    "conf_int": _INTERVALS,
    "confint": _INTERVALS,
    "get_prediction": ("fit.predict(x, interval=0.95)",),
    "get_influence": ("fit.influence()",),
    "aic": ("fit.inference().aic",),
    "bic": ("fit.inference().bic",),
    "fit": ("gl.fit(x, y)",),
    "transform": ("fit.predict(x)",),
    "state_dict": ("fit.model.state_dict()",),
    "parameters": ("fit.model.parameters()",),
}


def no_attribute(name: str, known: Iterable[str]) -> str:
    """What to say of a name that a fit has not.

    Args:
        name: as it was asked for.
        known: the names that it has.
    """
    text = f"a Fit has no attribute {name!r}"
    if name.startswith("_"):
        return text  # asked for by a program, which catches the error
    if name in ELSEWHERE:
        return f"{text}: here it is {' or '.join(ELSEWHERE[name])}"
    public = [k for k in known if not k.startswith("_")]
    return f"{text}: {did_you_mean(name, public, 'print(fit) shows what it has found')}"
