"""What a fit makes small, stated once: a loss of the residuals, and a penalty.

With residuals r_i = y_i - x_iᵀb - c, weights w_i and W = Σ w_i, the loss is

    squared        1/W · Σ w_i r_i²                          torch.nn.MSELoss
    absolute       1/W · Σ w_i |r_i|                         torch.nn.L1Loss
    quantile q     1/W · Σ w_i (q·max(r_i, 0) + (1-q)·max(-r_i, 0))
    huber ε, s     1/W · Σ w_i s²·h(r_i/s),   h(t) = t²/2 where |t| ≤ ε,
                   else ε·(|t| - ε/2)                        torch.nn.HuberLoss(ε·s)
    huber ε        the scale s is found too:
                   1/W · Σ w_i (s + s·H(r_i/s)),   H(t) = 2·h(t)
                   scikit-learn's HuberRegressor(epsilon=ε, alpha=0)

A penalty belongs to the squared loss, and half of it is counted, so that alpha means
what it means elsewhere: with u_j = b_j · (standard deviation of x_j) where the features
are standardised, else u = b, and the intercept always free,

    1/2W · Σ w_i r_i² + alpha · (l1_ratio · Σ |u_j| + (1 - l1_ratio)/2 · Σ u_j²)

    ridge: l1_ratio 0    lasso: l1_ratio 1    elastic_net: between

This is scikit-learn's ElasticNet(alpha, l1_ratio) and Lasso(alpha), its
Ridge(alpha * W), and glmnet's lambda and alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradline.checks import real
from gradline.errors import UsageError, closest, did_you_mean

SQUARED = "mean squared error"


@dataclass(frozen=True)
class Squared:
    """The squared loss."""

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return SQUARED


@dataclass(frozen=True)
class Absolute:
    """The absolute loss: its line goes through medians."""

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return "mean absolute error"


@dataclass(frozen=True)
class Quantile:
    """The quantile (pinball) loss.

    Attributes:
        level: the share of the targets that shall lie below the line, in (0, 1).
    """

    level: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < real("the quantile's level", self.level) < 1:
            raise UsageError(
                f"the quantile's level is {self.level}: give a share between 0 and 1, "
                "such as 0.9"
            )

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return f"quantile loss at {self.level:g}"


@dataclass(frozen=True)
class Huber:
    """The Huber loss: squared for small residuals, absolute for large ones.

    Attributes:
        epsilon: where it turns, in scales; 1.35 has 95% of the efficiency of squares
            where the noise is normal.
        scale: in units of the target; None to find it together with the line.
    """

    epsilon: float = 1.35
    scale: float | None = None

    def __post_init__(self) -> None:
        if not real("epsilon", self.epsilon) > 0:
            raise UsageError(f"epsilon is {self.epsilon}: give a positive number")
        if self.scale is None and self.epsilon <= 1:
            raise UsageError(
                f"epsilon is {self.epsilon}: give more than 1, or give the scale too"
            )
        if self.scale is not None and not real("scale", self.scale) > 0:
            raise UsageError(f"scale is {self.scale}: give a positive number")

    @property
    def title(self) -> str:
        """What it is called in tables."""
        given = "" if self.scale is None else f", scale {self.scale:g}"
        return f"Huber loss at {self.epsilon:g}{given}"


Loss = Squared | Absolute | Quantile | Huber

_NAMES = ("squared", "absolute", "quantile", "huber")

#: What the losses are called elsewhere.
_ELSEWHERE = {
    "squared": ("mse", "l2", "ols", "squared_error", "mean_squared_error", "rmse"),
    "absolute": ("mae", "l1", "lad", "median", "absolute_error"),
    "quantile": ("pinball",),
    "huber": ("robust", "smooth_l1"),
}


def as_loss(value: Any) -> Loss:
    """A loss by its name, or as it is.

    Args:
        value: a Loss; or "squared", "absolute", "huber", "huber:1.35",
            "huber:1.35:2.5" (epsilon and scale), "quantile:0.9" ("quantile" alone is
            that of 0.5, the median).

    Raises:
        UsageError: no such loss.
    """
    if isinstance(value, Squared | Absolute | Quantile | Huber):
        return value
    if isinstance(value, type):
        raise UsageError(
            f"loss is the class {value.__name__} itself: make one of it, "
            f"{value.__name__}()"
        )
    if not isinstance(value, str):
        raise UsageError(
            f"loss is {value!r}: give one of {', '.join(map(repr, _NAMES))}, "
            "gl.Huber(...) or gl.Quantile(...), a torch loss module such as "
            "nn.SmoothL1Loss(), or a function of prediction and target"
        )
    name, *numbers = value.strip().casefold().split(":")
    values = [_number(value, n) for n in numbers]
    if name == "squared" and not values:
        return Squared()
    if name == "absolute" and not values:
        return Absolute()
    if name == "quantile" and len(values) <= 1:
        return Quantile(*values)
    if name == "huber" and len(values) <= 2:
        return Huber(*values)
    hint = did_you_mean(name, _NAMES, f"known are {', '.join(_NAMES)}")
    for known, others in _ELSEWHERE.items():
        if name.replace("-", "_") in others:
            hint = f"did you mean {known!r}?"
    raise UsageError(f"there is no loss {value!r}: {hint}")


def _number(loss: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"the loss {loss!r} has {text!r} where a number is meant: write "
            "huber:1.35 or quantile:0.9"
        ) from None


#: Kinds of penalty.
PENALTIES = ("ridge", "lasso", "elastic_net")

#: How alpha may be chosen instead of given, see crossval.py.
CHOICES = ("cv", "1se", "gcv", "loo")


@dataclass(frozen=True)
class Penalty:
    """A penalty on the slopes, in the terms above.

    Attributes:
        alpha: its weight, 0 or more; or how to choose it: "cv" for the least
            cross-validated error, "1se" for the largest within one standard error of
            that, and for ridge "gcv" and "loo".
        l1_ratio: 0 for ridge, 1 for the lasso, between for the elastic net.
        standardize: whether it counts slopes of standardised features.
    """

    alpha: float | str
    l1_ratio: float
    standardize: bool = True

    @property
    def name(self) -> str:
        """ridge, lasso or elastic net."""
        return {0.0: "ridge", 1.0: "lasso"}.get(self.l1_ratio, "elastic net")

    @property
    def title(self) -> str:
        """What the objective is called in tables."""
        alpha = self.alpha if isinstance(self.alpha, str) else f"{self.alpha:.4g}"
        return f"half the mean squared error + {self.name} penalty, alpha {alpha}"


def _no_alpha(alpha: str, choices: Sequence[str]) -> str:
    """What to say of a word that is no way to choose alpha."""
    try:
        return f"alpha is the text {alpha!r}: give the number, alpha={float(alpha):g}"
    except ValueError:
        shown = " or ".join(map(repr, choices))
        hint = did_you_mean(alpha, choices, f"give a number, or {shown}")
        return f"alpha is {alpha!r}: {hint}"


def as_penalty(
    kind: str | None, alpha: Any, l1_ratio: Any, standardize: bool | None
) -> Penalty | None:
    """A penalty from the arguments of fit; None where none is asked for.

    Raises:
        UsageError: arguments that do not go together.
    """
    if kind is None:
        for name, value in (("alpha", alpha), ("l1_ratio", l1_ratio)):
            if value is not None:
                raise UsageError(
                    f"{name} is given without a penalty, where it has no effect: give "
                    "penalty='ridge' (--penalty ridge) too, or leave it out"
                )
        return None
    if kind not in PENALTIES:
        known = {"l2": "ridge", "l1": "lasso", "elasticnet": "elastic_net"}
        said = known.get(str(kind).casefold()) or closest(str(kind), PENALTIES)
        shown = " or ".join(map(repr, PENALTIES))
        hint = f"did you mean {said!r}?" if said else f"give {shown}"
        raise UsageError(f"penalty is {kind!r}: {hint}")
    ratio = {"ridge": 0.0, "lasso": 1.0}.get(kind, 0.5)
    if l1_ratio is not None:
        if kind != "elastic_net":
            raise UsageError(
                f"l1_ratio is for the elastic net and the penalty is {kind!r}: leave "
                "it out, or give penalty='elastic_net'"
            )
        ratio = real("l1_ratio", l1_ratio)
        if not 0 <= ratio <= 1:
            raise UsageError(f"l1_ratio is {l1_ratio}: give a number from 0 to 1")
    if alpha is None:
        alpha = "cv"
    if isinstance(alpha, str):
        choices = CHOICES[:2] if ratio else CHOICES
        if alpha not in CHOICES:
            raise UsageError(_no_alpha(alpha, choices))
        if alpha in ("gcv", "loo") and ratio:
            raise UsageError(
                f"alpha={alpha!r} has a closed form for ridge alone: give alpha='cv' "
                "or '1se', or penalty='ridge'"
            )
    else:
        alpha = real("alpha", alpha)
        if alpha < 0:
            raise UsageError(f"alpha is {alpha:g}: give 0 or more")
    return Penalty(alpha, ratio, True if standardize is None else bool(standardize))
