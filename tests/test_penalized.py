"""fit() with a penalty: against scikit-learn and exact arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNet, Lasso, LassoCV, Ridge

import gradline as gl
from commands import run
from gradline.data import Array
from gradline.errors import DataError, UsageError
from helpers import TOLERANCE, nist, real_table


def rows(n: int = 150, d: int = 10, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * np.arange(1, d + 1) + np.arange(d)
    slopes = np.where(np.arange(d) % 3 == 0, 1.0 + np.arange(d), 0.0)
    return X, X @ slopes + 4 + 5 * random.normal(size=n)


KINDS = ("ridge", "lasso", "elastic_net")


def theirs_of(penalty: str, alpha: float, weight: float) -> Any:
    """The same objective in scikit-learn, for rows of so much weight."""
    if penalty == "ridge":
        return Ridge(alpha * weight, tol=1e-14)
    kind = {"lasso": Lasso, "elastic_net": ElasticNet}[penalty]
    return kind(alpha, tol=1e-14, max_iter=100_000)


@pytest.mark.parametrize("penalty", KINDS)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_slopes_are_scikit_learns(
    penalty: Any, standardize: bool, alpha: float
) -> None:
    X, y = rows()
    scale = X.std(0) if standardize else np.ones(10)
    theirs = theirs_of(penalty, alpha, len(y)).fit((X - X.mean(0)) / scale, y)
    fit = gl.fit(X, y, penalty=penalty, alpha=alpha, standardize=standardize)
    slopes = theirs.coef_ / scale
    assert np.abs(fit.slopes - slopes).max() < 1e-9
    assert fit.intercept == pytest.approx(y.mean() - X.mean(0) @ slopes, abs=1e-8)
    residual = y - fit.predict(X)
    u, ratio = fit.slopes * scale, fit.settings["l1_ratio"]
    value = np.square(residual).mean() / 2 + alpha * (
        ratio * np.abs(u).sum() + (1 - ratio) / 2 * u @ u
    )
    c = fit.certificate
    assert c.loss == pytest.approx(value, rel=1e-12)
    assert c.status == ("exact" if penalty == "ridge" else "converged")
    assert (
        c.bound == "exact" if penalty == "ridge" else c.bound in ("duality", "gradient")
    )
    assert 0 <= c.gap <= 1e-11 * y.var()
    assert c.optimum_loss == pytest.approx(c.loss - c.gap, rel=1e-15)
    assert c.gradient_norm < 1e-9
    assert c.digits > 6
    assert fit.metrics.rmse == pytest.approx(np.square(residual).mean() ** 0.5)
    assert fit.metrics.mae == pytest.approx(np.abs(residual).mean())
    assert fit.metrics.r2 == pytest.approx(1 - np.square(residual).mean() / y.var())


@pytest.mark.parametrize("penalty", KINDS)
def test_weights_and_lines_through_the_origin(penalty: Any) -> None:
    X, y = rows()
    w = np.random.default_rng(1).random(150)
    theirs = theirs_of(penalty, 0.3, float(w.sum()))
    theirs.set_params(fit_intercept=False)
    scale = (w @ X**2 / w.sum()) ** 0.5
    theirs.fit(X / scale, y, sample_weight=w)
    fit = gl.fit(X, y, penalty=penalty, alpha=0.3, intercept=False, weights=w)
    assert fit.intercept == 0
    assert np.abs(fit.slopes - theirs.coef_ / scale).max() < 1e-8


@pytest.mark.parametrize("penalty", KINDS)
def test_more_terms_than_rows_doubled_and_constant_columns(penalty: Any) -> None:
    X, y = rows(30, 50)
    X[:, 7] = X[:, 3]
    X[:, 9] = 2
    scale = np.where(X.std(0) > 0, X.std(0), 1)
    Z = (X - X.mean(0)) / scale
    theirs = theirs_of(penalty, 2.0, 30).fit(Z, y)
    fit = gl.fit(X, y, penalty=penalty, alpha=2.0)
    assert np.abs(fit.predict(X) - theirs.predict(Z)).max() < 1e-7 * y.std()
    assert fit.coefficients["x10"] == 0
    assert fit.certificate.rank == 30
    assert fit.certificate.status == ("exact" if penalty == "ridge" else "converged")
    assert np.isinf(fit.certificate.condition)


def test_longley_is_right_to_the_last_digits() -> None:
    """Against a solution by 60 digits, from rows as they are."""
    import mpmath as mp

    data = np.array(nist("Longley")["data"], dtype=float)
    X, y = data[:, 1:], data[:, 0]
    with mp.workdps(60):
        Z, target = mp.matrix(X.tolist()), mp.matrix(y.tolist())
        n, d = X.shape
        for j in range(d):
            mean = mp.fsum(Z[i, j] for i in range(n)) / n
            for i in range(n):
                Z[i, j] -= mean
        scale = [mp.sqrt(mp.fsum(Z[i, j] ** 2 for i in range(n)) / n) for j in range(d)]
        for j in range(d):
            for i in range(n):
                Z[i, j] /= scale[j]
        level = mp.fsum(target) / n
        right = Z.T * (target - mp.matrix([level] * n)) / n
        C = Z.T * Z / n
        ridge = mp.lu_solve(C + mp.mpf(1e-4) * mp.eye(d), right)
        fit = gl.fit(X, y, penalty="ridge", alpha=1e-4)
        truth = np.array([float(ridge[j] / scale[j]) for j in range(d)])
        assert np.abs(fit.slopes / truth - 1).max() < 1e-10
        lasso = gl.fit(X, y, penalty="lasso", alpha=5.0)
        free = [j for j in range(d) if lasso.slopes[j] != 0]
        signs = mp.matrix([mp.sign(lasso.slopes[j]) for j in free])
        part = mp.matrix([[C[i, j] for j in free] for i in free])
        pull = mp.matrix([right[j] for j in free])
        exact = mp.lu_solve(part, pull - 5 * signs)
        for place, j in enumerate(free):
            truth_j = float(exact[place] / scale[j])
            assert lasso.slopes[j] == pytest.approx(truth_j, rel=1e-10)


def test_nearly_dependent_columns_keep_their_digits() -> None:
    """Where the design is solved by QR, the penalised slopes are too."""
    x = np.linspace(1, 2, 60)
    X = np.column_stack([x**k for k in range(1, 9)])
    y = np.sin(3 * x) + 0.01 * np.cos(50 * x)
    assert gl.fit(X, y).certificate.solver == "triangle"
    Z = (X - X.mean(0)) / X.std(0)
    for alpha in (1e-3, 1e-7):
        fit = gl.fit(X, y, penalty="ridge", alpha=alpha)
        extended = np.vstack([Z, np.sqrt(alpha * 60) * np.eye(8)])
        right = np.append(y - y.mean(), np.zeros(8))
        theirs = np.linalg.lstsq(extended, right, rcond=None)[0]
        assert np.abs(fit.slopes * X.std(0) / theirs - 1).max() < 1e-7
    for alpha in (1e-3, 1e-5):
        fit = gl.fit(X, y, penalty="lasso", alpha=alpha)
        assert fit.certificate.relative_gap < 1e-8
        residual = y - fit.predict(X)
        pull = Z.T @ residual / 60
        there = fit.slopes != 0
        assert np.abs(pull[there] - alpha * np.sign(fit.slopes[there])).max() < 1e-10
        assert (np.abs(pull) <= alpha + 1e-10).all()


def test_numbers_far_from_zero() -> None:
    X, y = rows()
    near = gl.fit(X, y, penalty="lasso", alpha=0.5)
    far = gl.fit(X + 2.0**40, y, penalty="lasso", alpha=0.5)
    again = gl.fit((X + 2.0**40) - 2.0**40, y, penalty="lasso", alpha=0.5)
    assert np.allclose(far.slopes, again.slopes, rtol=1e-9)
    assert np.allclose(far.slopes, near.slopes, rtol=1e-2)


def test_alpha_0_is_least_squares_and_a_large_one_leaves_nothing() -> None:
    X, y = rows()
    exact = gl.fit(X, y)
    for penalty in KINDS:
        fit = gl.fit(X, y, penalty=penalty, alpha=0)
        assert np.allclose(fit.slopes, exact.slopes, rtol=TOLERANCE["float64"])
        assert fit.certificate.status == "exact"
        with pytest.raises(DataError, match="leave out penalty"):
            fit.inference()
    none = gl.fit(X, y, penalty="lasso", alpha=1e6)
    assert not none.slopes.any()
    assert none.intercept == pytest.approx(y.mean())
    assert "10 of 10 slopes are 0" in none.certificate.advice


def test_a_constant_target() -> None:
    X, _ = rows()
    for penalty in KINDS:
        fit = gl.fit(X, np.full(150, 3.0), penalty=penalty, alpha=0.1)
        assert np.abs(fit.slopes).max() < 1e-14
        assert fit.intercept == pytest.approx(3)


@pytest.mark.parametrize("penalty", ["ridge", "lasso"])
def test_alpha_is_chosen_by_folds_in_the_same_pass(penalty: Any) -> None:
    X, y = rows(80, 6)
    fit = gl.fit(X, y, penalty=penalty)
    curve = fit.cross_validation
    assert curve is not None
    apart = gl.cross_validate(X, y, penalty=penalty)
    assert np.array_equal(curve.errors, apart.errors)
    assert fit.settings["alpha"] == apart.alpha[0]
    assert fit.settings["alpha_rule"] == "cv"
    assert fit.settings["folds"] == "5 folds"
    assert np.allclose(fit.slopes, apart.slopes[:, 0], rtol=1e-5, atol=1e-5)
    assert f"alpha {apart.alpha[0]:.4g} (by 5 folds)" in str(fit)


def test_alpha_is_chosen_by_other_rules() -> None:
    X, y = rows(80, 6)
    wide = gl.fit(X, y, penalty="elastic_net", alpha="1se", folds=gl.KFold(3, seed=1))
    assert wide.settings["folds"] == "3 folds"
    assert wide.cross_validation is not None
    assert wide.settings["alpha"] == wide.cross_validation.alpha_1se[0]
    assert "(by 3 folds, one standard error)" in str(wide).replace("\n", " ")
    for rule in ("gcv", "loo"):
        found = gl.fit(X, y, penalty="ridge", alpha=rule)
        assert found.settings["alpha_rule"] == rule


def test_errors_on_folds_are_scikit_learns() -> None:
    X, y = rows()
    Z = (X - X.mean(0)) / X.std(0)
    found = gl.cross_validate(
        Z, y, penalty="lasso", standardize=False, alphas=[0.1, 1, 10], folds=3
    )
    labels = gl.KFold(3).labeller(gl.open_source({"x": y}))
    batch = next(iter(gl.open_source({"x": y}).batches(["x"])))
    fold = labels(batch, 0)[0]
    splits = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(3)]
    theirs = LassoCV(
        alphas=np.array([10, 1, 0.1]), cv=splits, tol=1e-12, max_iter=100_000
    )
    assert np.allclose(found.errors[:, :, 0], theirs.fit(Z, y).mse_path_, rtol=1e-6)


def test_it_says_what_it_did() -> None:
    X, y = rows()
    fit = gl.fit(X, y, penalty="elastic_net", alpha=2, l1_ratio=0.7)
    kept = int((fit.slopes != 0).sum())
    text = str(fit)
    assert f"elastic net, alpha 2, l1_ratio 0.7, {kept} of 10 slopes kept" in text
    assert "No standard errors for a penalised fit: the penalty draws slopes" in text
    assert "half the mean squared error + elastic net penalty, alpha 2" in text
    with pytest.raises(DataError, match="no standard errors for a penalised fit"):
        fit.inference()
    with pytest.raises(DataError, match="no standard errors for a penalised fit"):
        fit.predict(X, interval=0.95)
    with pytest.raises(UsageError, match="folds are for choosing alpha"):
        gl.fit(X, y, penalty="lasso", alpha=1, folds=5)
    with pytest.raises(UsageError, match="needs no descent"):
        gl.fit(X, y, penalty="lasso", lr=0.1)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    X, y = rows()
    for wishes in ({"penalty": "lasso"}, {"nonnegative": True}, {"penalty": "ridge"}):
        fit = gl.fit(X, y, **wishes)
        fit.save(tmp_path / "m.safetensors")
        again = gl.load(tmp_path / "m.safetensors")
        assert again.coefficients == fit.coefficients
        assert again.certificate == fit.certificate
        assert again.settings == fit.settings
        assert again.cross_validation is None
        assert np.array_equal(again.predict(X), fit.predict(X))
        assert str(again) == str(fit)


def test_categories_and_dropped_rows() -> None:
    frame = real_table("penguins_categorical_missing")
    fit = gl.fit(
        frame,
        target="body_mass_g",
        features=["species", "sex", "flipper_length_mm"],
        missing="drop",
        penalty="lasso",
        alpha=20,
    )
    whole = frame.dropna(subset=["body_mass_g", "species", "sex", "flipper_length_mm"])
    X = pd.get_dummies(whole[["species", "sex"]], drop_first=True).astype(float)
    X["flipper"] = whole["flipper_length_mm"]
    Z = (X - X.mean()) / X.std(ddof=0)
    theirs = Lasso(20, tol=1e-12).fit(Z.to_numpy(), whole["body_mass_g"])
    assert np.allclose(fit.slopes, theirs.coef_ / X.std(ddof=0), rtol=1e-7)
    assert fit.dropped == len(frame) - len(whole)
    assert "incomplete rows were dropped" in fit.notes[0]


def test_paths() -> None:
    X, y = rows()
    found = gl.regularization_path(X, y)
    assert found.alphas.shape == (100,)
    assert found.alphas[-1] == pytest.approx(1e-4 * found.alphas[0])
    assert found.slopes.shape == (100, 10)
    assert found.nonzero[0] == 0
    assert (found.gaps <= 1e-10 * y.var()).all()
    for i in (30, 99):
        fit = gl.fit(X, y, penalty="lasso", alpha=float(found.alphas[i]))
        assert np.abs(fit.slopes - found.slopes[i]).max() < 1e-5
        assert found.r2[i] == pytest.approx(fit.metrics.r2)
        assert found.intercepts[i] == pytest.approx(fit.intercept, abs=1e-4)
    first = next(iter(found.entered))
    assert first == "x10"
    few = gl.regularization_path(
        X, y, penalty="ridge", alphas=[1, 10], nonnegative=True
    )
    assert few.alphas.tolist() == [10, 1]
    assert (few.slopes >= 0).all()
    with pytest.raises(UsageError, match="give a share between 0 and 1"):
        gl.regularization_path(X, y, eps=2)


def test_the_picture_of_a_path(tmp_path: Path) -> None:
    X, y = rows(60, 14)
    found = gl.regularization_path(X, y, n_alphas=20)
    figure = found.plot(tmp_path / "path.png")
    assert (tmp_path / "path.png").stat().st_size > 5_000
    (ax,) = figure.axes
    named = len(ax.texts)  # the largest that have room; the others are grey
    assert 3 <= named <= 10
    assert ax.get_title(loc="left").startswith(f"Grey: {14 - named} more terms")
    assert ax.get_xlim()[0] > ax.get_xlim()[1]
    with pytest.raises(DataError, match="one alpha is no path"):
        gl.regularization_path(X, y, alphas=[1]).plot()


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = rows(60, 4)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=y)
    frame.to_csv(tmp_path / "d.csv", index=False)
    model = str(tmp_path / "m.safetensors")
    base = ["fit", str(tmp_path / "d.csv"), "--target", "y", "-o", model, "--json"]
    more = ["--penalty", "lasso", "--alpha", "cv", "--nonnegative", "--bound", "d=0:1"]
    code, out, err = run(capsys, *base, *more)
    assert code == 0, err
    said = json.loads(out)
    fit = gl.fit(
        frame, target="y", penalty="lasso", nonnegative=True, bounds={"d": (0, 1)}
    )
    assert said["coefficients"] == pytest.approx(fit.coefficients)
    assert said["coefficients"]["d"] == 1
    assert said["settings"]["alpha_rule"] == "cv"
    assert said["certificate"]["bound"] in ("duality", "gradient")
    code, _, err = run(capsys, *base, "--nonnegative-terms", "q")
    assert code == 2
    assert "nonnegative names 'q', which is no term" in err


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", KINDS)
def test_no_more_digits_are_promised_than_there_are(seed: int, penalty: Any) -> None:
    """Against the system of the slopes that are not 0, solved with 50 digits."""
    import mpmath as mp

    random, n, d = np.random.default_rng(seed), 30, 4
    X = random.normal(size=(n, d)) + random.choice([0, 10, 1e4])
    X[:, 1] = X[:, 0] + 10.0 ** -random.integers(0, 6) * X[:, 1]
    y = X @ random.normal(size=d) + 0.1 * random.normal(size=n)
    alpha = 10.0 ** random.uniform(-7, -1)
    fit = gl.fit(X, y, penalty=penalty, alpha=alpha)
    with mp.workdps(50):
        columns = [mp.matrix(X[:, j].tolist()) for j in range(d)]
        means = [mp.fsum(column) / n for column in columns]
        columns = [c - mp.matrix([m] * n) for c, m in zip(columns, means, strict=True)]
        scale = [mp.norm(column) / mp.sqrt(n) for column in columns]
        level = mp.fsum(y.tolist()) / n
        target = mp.matrix(y.tolist()) - mp.matrix([level] * n)
        there = np.flatnonzero(fit.slopes).tolist()
        l1 = mp.mpf(alpha) * mp.mpf(fit.settings["l1_ratio"])

        def like(i: int, other: Any, size: Any) -> Any:
            return (columns[i].T * other)[0] / (n * scale[i] * size)

        C = mp.matrix([[like(i, columns[j], scale[j]) for j in there] for i in there])
        C += (mp.mpf(alpha) - l1) * mp.eye(len(there))
        pull = [like(j, target, 1) - l1 * mp.sign(fit.slopes[j]) for j in there]
        u = mp.lu_solve(C, mp.matrix(pull))
        truth = [u[k] / scale[j] for k, j in enumerate(there)]
        errors = [fit.slopes[j] / b - 1 for j, b in zip(there, truth, strict=True)]
        zero = level - mp.fsum(b * means[j] for j, b in zip(there, truth, strict=True))
        errors.append(fit.intercept / zero - 1)
        worst = float(max(abs(error) for error in errors))
    assert fit.certificate.digits <= -np.log10(max(worst, 1e-16))
    assert fit.certificate.digits >= 3


def test_a_path_is_a_table_and_json() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 3))
    y = X @ [3.0, 0.0, -1.0] + random.normal(size=80)
    path = gl.regularization_path(X, y, n_alphas=30)
    text = str(path).split("\n")
    assert text[0] == "y, lasso, 30 alphas, 80 rows"
    assert text[2].split() == ["alpha", "slopes", "R²", "terms", "that", "enter"]
    assert len(text) == 3 + 12
    for name, alpha in path.entered.items():
        assert sum(name in line.split() or f"{name}," in line for line in text) == (
            alpha > 0
        )
    found = json.loads(json.dumps(path.to_dict(), allow_nan=False))
    assert found["nonzero"] == path.nonzero.tolist()
    one = gl.regularization_path(X, y, alphas=[0.1])
    assert "1 alpha," in str(one)
    assert "1 alpha," in repr(one)
