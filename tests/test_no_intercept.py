"""Lines through the origin: statsmodels and a plain loop say the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from sklearn.metrics import r2_score

import gradline as gl
from commands import run
from helpers import TOLERANCE

RTOL = TOLERANCE["float64"]


def data(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal([3.0, 0.0, -200.0], [1.0, 2.0, 50.0], size=(rows, 3))
    return X, X @ [1.0, 2.0, 0.3] + 5 + random.normal(size=rows)


@pytest.mark.parametrize("rows", [60, 120_000])  # refined to the last digits, or not
@pytest.mark.parametrize("weighted", [False, True])
def test_all_of_inference_is_that_of_statsmodels(rows: int, weighted: bool) -> None:
    X, y = data(rows)
    w = np.random.default_rng(1).uniform(0.5, 2, rows) if weighted else None
    fit = gl.fit(X, y, weights=w, intercept=False)
    model = sm.OLS(y, X) if w is None else sm.WLS(y, X, w)
    theirs = model.fit()
    assert fit.intercept == 0
    assert fit.certificate.rank == fit.certificate.columns == 3
    np.testing.assert_allclose(fit.slopes, theirs.params, rtol=RTOL)
    found = fit.inference()
    assert list(found.standard_errors) == ["x1", "x2", "x3"]
    np.testing.assert_allclose([*found.standard_errors.values()], theirs.bse, rtol=RTOL)
    np.testing.assert_allclose([*found.t.values()], theirs.tvalues, rtol=RTOL)
    ends = theirs.conf_int()
    np.testing.assert_allclose([*found.intervals.values()], ends, rtol=RTOL)
    for ours, other in (
        (found.r2, theirs.rsquared),
        (found.adjusted_r2, theirs.rsquared_adj),
        (found.f_statistic, theirs.fvalue),
        (found.log_likelihood, theirs.llf),
        (found.aic, theirs.aic),
        (found.bic, theirs.bic),
    ):
        assert ours == pytest.approx(other, rel=1e-7)
    assert (found.df_model, found.df_resid) == (3, rows - 3)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        theirs = model.fit(cov_type=kind, use_t=True)
        found = fit.inference(kind)
        errors = [*found.standard_errors.values()]
        np.testing.assert_allclose(errors, theirs.bse, rtol=1e-8)
        assert found.f_statistic == pytest.approx(float(theirs.fvalue), rel=1e-6)
    groups = np.arange(rows) % 12
    theirs = model.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    found = fit.inference(("cluster", groups))
    np.testing.assert_allclose([*found.standard_errors.values()], theirs.bse, rtol=1e-8)


def test_prediction_intervals_and_influence() -> None:
    X, y = data(60)
    fit = gl.fit(X, y, intercept=False)
    theirs = sm.OLS(y, X).fit()
    frame = theirs.get_prediction(X[:5]).summary_frame(alpha=0.05)
    found = fit.predict(X[:5], interval=0.95)
    np.testing.assert_allclose(found.prediction, frame["mean"], rtol=RTOL)
    np.testing.assert_allclose(found.low, frame["obs_ci_lower"], rtol=RTOL)
    narrow = fit.predict(X[:5], interval=0.95, kind="confidence")
    np.testing.assert_allclose(narrow.high, frame["mean_ci_upper"], rtol=RTOL)
    rows, known = fit.influence(), theirs.get_influence()
    np.testing.assert_allclose(rows.leverage, known.hat_matrix_diag, rtol=RTOL)
    np.testing.assert_allclose(rows.cooks_distance, known.cooks_distance[0], rtol=1e-8)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.8}, {"momentum": 0.5, "weight_decay": 0.01}]
)
def test_descent_is_that_of_a_module_without_bias(
    standardize: bool, settings: dict[str, float]
) -> None:
    X, y = data(80)
    X[:, 2] /= 100
    start = gl.LinearRegression(3, dtype=torch.float64)
    with torch.no_grad():
        start.weight.copy_(torch.tensor([[0.5, -1.0, 2.0]]))
        start.bias.zero_()
    fit = gl.fit(
        X,
        y,
        intercept=False,
        method="gd",
        lr=0.03,
        epochs=40,
        start=start,
        standardize=standardize,
        **settings,
    )
    scale = np.sqrt((X**2).mean(0)) if standardize else np.ones(3)
    inputs, targets = torch.from_numpy(X / scale), torch.from_numpy(y)
    weight = torch.nn.Parameter(torch.from_numpy([0.5, -1.0, 2.0] * scale))
    optimizer = torch.optim.SGD([weight], lr=0.03, **settings)
    losses = []
    for _ in range(40):
        loss = (inputs @ weight - targets).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert fit.trace is not None
    np.testing.assert_allclose(fit.trace.losses[:40], losses, rtol=RTOL)
    np.testing.assert_allclose(fit.slopes, weight.detach().numpy() / scale, rtol=RTOL)
    assert not fit.trace.intercepts.any()


def test_other_optimizers_leave_the_intercept_at_0() -> None:
    X, y = data(80)
    fit = gl.fit(X, y, intercept=False, optimizer="Adam", lr=0.1, standardize=True)
    assert fit.certificate.status == "converged"
    assert fit.intercept == 0
    exact = gl.fit(X, y, intercept=False)
    np.testing.assert_allclose(fit.slopes, exact.slopes, rtol=1e-3)
    limit = 2 / np.linalg.eigvalsh(2 * X.T @ X / len(y))[-1]
    assert exact.certificate.lr_limit == pytest.approx(limit, rel=1e-9)


def test_a_category_stands_in_for_the_intercept() -> None:
    table = pd.DataFrame({"g": ["b", "a", "b", "c"] * 5, "y": np.arange(20.0)})
    fit = gl.fit(table, target="y", intercept=False)
    means = table.groupby("g").y.mean()
    assert list(fit.coefficients) == ["g[a]", "g[b]", "g[c]"]
    np.testing.assert_allclose([*fit.coefficients.values()], means, rtol=1e-12)
    np.testing.assert_allclose(fit.predict({"g": ["c", "a"]}), means[["c", "a"]])


def test_dependent_columns_and_columns_of_zeros() -> None:
    X, y = data(50)
    wide = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(50), np.zeros(50)])
    fit = gl.fit(wide, y, intercept=False)
    assert fit.certificate.status == "rank_deficient"
    assert fit.certificate.rank == 4
    assert fit.certificate.dependent == ("x1", "x2", "x4", "x6")
    least = np.linalg.lstsq(wide, y, rcond=1e-10)[0]
    np.testing.assert_allclose(fit.slopes, least, rtol=1e-9, atol=1e-12)
    with pytest.raises(gl.DataError, match="'x6' of the data is 0 in every row"):
        gl.fit(wide, y, intercept=False, degenerate="refuse")


def test_what_does_not_go_with_it_is_refused() -> None:
    X, y = data(50)
    model = gl.LinearRegression(3, dtype=torch.float64)
    with pytest.raises(gl.UsageError, match="set the bias to 0"):
        gl.certify(model, X, y, intercept=False)
    plain = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    assert gl.certify(plain, X, y, intercept=False).status == "not_converged"
    fit = gl.fit(X[:, :1], y, intercept=False)
    with pytest.raises(gl.UsageError, match="no coefficient 'Intercept'"):
        fit.loss_surface()
    with pytest.raises(gl.UsageError, match="intercept is 'no'"):
        gl.fit(X, y, intercept="no")  # type: ignore[arg-type]


def test_saved_loaded_and_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = data(70)
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y)
    path = tmp_path / "t.csv"
    table.to_csv(path, index=False)
    fit = gl.fit(path, target="y", intercept=False)
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(X), fit.predict(X))
    assert again.inference().standard_errors == fit.inference().standard_errors
    theirs = r2_score(y, fit.predict(X))
    assert again.evaluate(path).r2 == pytest.approx(theirs, rel=1e-10)
    model = str(tmp_path / "n.safetensors")
    words = ("fit", str(path), "--target", "y", "--no-intercept", "-o", model)
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "Intercept" not in out
    assert gl.load(model).coefficients == fit.coefficients


def test_r2_on_rows_not_seen_is_about_the_mean() -> None:
    X, y = data(400)
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y)
    split = gl.Split(validation=0.3, test=0.2)
    fit = gl.fit(table, target="y", intercept=False, split=split)
    assert fit.metrics.r2 > 0.99
    for part in ("train", "validation", "test"):
        scores = fit.evaluate(part=part)
        again = fit.evaluate(table, part=part)
        rows = [
            b.places for b in split.part(fit._exam.prepared.whole, part).batches([])
        ]
        rows = np.concatenate(rows)
        theirs = r2_score(y[rows], fit.predict(X[rows]))
        assert scores.r2 == pytest.approx(theirs, rel=1e-10)
        assert again.r2 == pytest.approx(theirs, rel=1e-10)
    assert " (about 0)   RMSE" in str(fit)
    assert str(fit).count("about 0") == 1
    weights = np.random.default_rng(0).uniform(0, 2, 400)
    theirs = r2_score(y, fit.predict(X), sample_weight=weights)
    weighted = gl.fit(X, y, weights=weights, intercept=False)
    theirs = r2_score(y, weighted.predict(X), sample_weight=weights)
    assert weighted.evaluate(part="train").r2 == pytest.approx(theirs, rel=1e-10)
    found = gl.cross_validate(X, y, penalty=None, intercept=False)
    assert found.r2[0] == pytest.approx(1 - found.rmse[0] ** 2 / y.var(), rel=1e-10)


def test_a_search_compares_r2_with_and_without_intercept_fairly() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    table = pd.DataFrame({"x": x, "y": 100 + x + random.normal(size=300) / 10})
    split = gl.Split(validation=0.3)
    for more in ({}, {"method": ["sgd"], "epochs": [3]}):
        search = {"intercept": [True, False], **more}
        found = gl.tune(table, target="y", search=search, score="r2", split=split)
        assert found.best["intercept"] is True
        scores = {t.params["intercept"]: t.score for t in found.trials}
        trained = {t.params["intercept"]: t.train_score for t in found.trials}
        assert scores[False] < 0 < scores[True]
        assert trained[False] < 0 < trained[True]


def test_evaluate_says_a_part_where_one_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = data(60)
    path, model = tmp_path / "t.csv", str(tmp_path / "m.safetensors")
    pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y).to_csv(path, index=False)
    gl.fit(path, target="y", split=gl.Split(test=0.3)).save(model)
    _, out, _ = run(capsys, "evaluate", model, str(path), "--json")
    assert json.loads(out)["part"] is None
    assert json.loads(out)["note"] is None
    words = ("evaluate", model, str(path), "--part", "test")
    _, out, _ = run(capsys, *words, "--json")
    assert json.loads(out)["part"] == "test"
    other = pd.read_csv(path).iloc[:50]
    other.to_csv(path, index=False)
    _, out, _ = run(capsys, *words)
    assert "Note: the data are not those that were split: " in out
