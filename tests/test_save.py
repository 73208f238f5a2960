"""Model files: whole, trusted only after a check, and nothing in them can run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_bytes

import gradline as gl
from gradline.save import strict_json

DATA = {
    "size": [1.0, 2.0, 4.0, 5.0, 7.5, 8.0],
    "town": ["Ulm", "Bonn", "Ulm", "Jena", "Jena", "Bonn"],
    "w": [1.0, 2.0, 1.0, 1.0, 0.5, 3.0],
    "y": [1.0, 3.0, 2.5, 6.0, 7.0, 9.0],
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    fit = gl.fit(DATA, target="y", weights="w", lr="auto", epochs=30)
    fit.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


@pytest.mark.parametrize("method", ["exact", "gd"])
def test_round_trip_is_the_same_fit(method: Any, tmp_path: Path) -> None:
    fit = gl.fit(DATA, target="y", method=method)
    path = tmp_path / "m.safetensors"
    fit.save(path)
    again = gl.load(path)
    assert again.coefficients == fit.coefficients
    assert again.intercept == fit.intercept
    assert again.certificate == fit.certificate
    assert again.metrics == fit.metrics
    assert again.design == fit.design
    assert again.settings == fit.settings
    assert str(again) == str(fit)
    np.testing.assert_array_equal(again.predict(DATA), fit.predict(DATA))
    assert dict(again.evaluate(DATA)) == dict(fit.evaluate(DATA))
    assert (again.trace is None) == (fit.trace is None)
    if fit.trace is not None:
        for name in ("epochs", "losses", "weights", "intercepts"):
            np.testing.assert_array_equal(
                getattr(again.trace, name), getattr(fit.trace, name)
            )
    again.save(tmp_path / "twice.safetensors")
    assert (tmp_path / "twice.safetensors").read_bytes() == path.read_bytes()


def test_infinities_and_nan_survive(tmp_path: Path) -> None:
    x = np.arange(6.0)
    fit = gl.fit(np.column_stack([x, x]), np.full(6, 2.0))
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert again.certificate.condition == np.inf
    assert np.isnan(again.metrics.r2)
    assert again.certificate.status is gl.Status.RANK_DEFICIENT


def test_strange_names_survive(tmp_path: Path) -> None:
    data = {"a[b]": [1.0, 2.0, 4.0], "<script>é\n": ["u", "v", "v"], "y": [1.0, 2, 3]}
    fit = gl.fit(data, target="y")
    fit.save(tmp_path / "m.safetensors")
    again = gl.load(tmp_path / "m.safetensors")
    assert list(again.coefficients) == ["a[b]", "<script>é\n[v]"]
    np.testing.assert_allclose(again.predict(data), fit.predict(data))


def doctored(path: Path, change: Any) -> None:
    """Rewrite a model file with its tensors and description changed."""
    content = path.read_bytes()
    tensors = tensors_of(content)
    size = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gradline"])
    about = change(tensors, about) or about
    text = about if isinstance(about, str) else strict_json(about)
    path.write_bytes(to_bytes(tensors, metadata={"gradline": text}))


def put(*keys: str, value: Any) -> Any:
    def change(_: Any, about: Any) -> None:
        for key in keys[:-1]:
            about = about[key]
        about[keys[-1]] = value

    return change


def tensor(name: str, value: np.ndarray) -> Any:
    def change(tensors: Any, _: Any) -> None:
        tensors[name] = value

    return change


def without(name: str) -> Any:
    def change(tensors: Any, about: Any) -> None:
        tensors.pop(name, None)
        about.pop(name, None)

    return change


def instead(text: str) -> Any:
    return lambda *_: text


@pytest.mark.parametrize(
    "change",
    [
        without("weight"),
        without("design"),
        instead("[" * 100_000),
        instead("null"),
        instead("not json"),
        tensor("weight", np.ones((1, 2))),
        tensor("weight", np.ones((1, 3), dtype=np.float32)),
        tensor("weight", np.full((1, 3), np.nan)),
        tensor("bias", np.ones((2,))),
        tensor("center", np.ones((0,))),
        tensor("trace.epochs", np.ones((3,))),
        tensor("trace.epochs", np.ones((3,), dtype=np.int64)),
        put("design", "target", value=5),
        put("design", "features", value=[]),
        put("design", "features", value=[["size"], "town"]),
        put("design", "levels", value={"nowhere": ["a", "b"]}),
        put("design", "levels", "town", value=["a", "a", "a"]),
        put("design", "levels", "town", value=7),
        put("design", "levels", value=None),
        put("design", "features", value="size"),
        put("design", "missing", value="maybe"),
        put("method", value="magic"),
        put("rows", value=-1),
        put("rows", value=True),
        put("metrics", "r2", value="high"),
        put("certificate", "status", value="great"),
        put("certificate", "digits", value=[1]),
        put("notes", value=[1]),
        put("settings", value=None),
        without("evidence"),
        without("root"),
        without("remainder"),
        without("across"),
        tensor("root", np.ones((3, 2))),
        tensor("root", np.full((3, 3), np.inf)),
        tensor("remainder", np.ones((1,))),
        tensor("across", np.ones((1,))),
        put("evidence", value=[1]),
        put("evidence", value={}),
        put("evidence", "rows", value=-3),
        put("evidence", "rows", value=2.5),
        put("evidence", "weight", value=0),
        put("evidence", "weight", value=None),
        put("evidence", "variance", value=-1.0),
        put("evidence", "level", value="high"),
    ],
)
def test_a_doctored_file_is_refused(saved: Path, change: Any) -> None:
    doctored(saved, change)
    with pytest.raises(gl.ModelFileError, match="m.safetensors") as caught:
        gl.load(saved)
    assert "\n" not in str(caught.value)


def test_a_newer_format_says_so(saved: Path) -> None:
    doctored(saved, put("format", value=3))
    with pytest.raises(
        gl.ModelFileError, match="format 3 .* reads 1 to 2: update gradline"
    ):
        gl.load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x,y\n1,2\n",
        b"\x80\x04\x95.",
        b"PK\x03\x04",
        (2**62).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"{[[[",
        to_bytes({"weight": np.ones(3)}),
        to_bytes({"weight": np.ones(3)}, metadata={"other": "tool"}),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(gl.ModelFileError, match="is not a gradline model"):
        gl.load(path)


@settings(max_examples=200)
@given(st.data())
def test_damage_anywhere_is_an_error_or_harmless(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        gl.fit([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]).save(path)
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        else:
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        try:
            fit = gl.load(path)
        except gl.ModelFileError:
            return
        assert np.isfinite([fit.intercept, *fit.coefficients.values()]).all()


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(gl.FileError, match="there is no file"):
        gl.load(tmp_path / "m.safetensors")
    with pytest.raises(gl.FileError, match="is a folder"):
        gl.load(tmp_path)


def test_nothing_half_written(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()
    fit = gl.load(saved)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(gl.FileError, match="no space left"):
        fit.save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["m.safetensors"]
