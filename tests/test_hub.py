"""Fits on the Hugging Face Hub: folders here, uploads by a stand-in for its API."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

import gradline as gl
from gradline import hub
from helpers import ROOT

PENGUINS = ROOT / "docs" / "penguins.csv"


@pytest.fixture(scope="module")
def fit() -> gl.Fit:
    return gl.fit(
        PENGUINS,
        target="body_mass_g",
        features=["flipper_length_mm", "sex"],
        missing="drop",
        split=gl.Split(test=0.2, seed=0),
    )


def same(found: gl.Fit, fit: gl.Fit) -> None:
    rows = {"flipper_length_mm": [200.0, 190.0], "sex": ["male", "female"]}
    np.testing.assert_array_equal(found.predict(rows), fit.predict(rows))
    assert found.certificate == fit.certificate


def test_a_folder_there_and_back(fit: gl.Fit, tmp_path: Path) -> None:
    fit.save_pretrained(tmp_path / "new" / "penguins")
    folder = tmp_path / "new" / "penguins"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    same(gl.from_pretrained(folder), fit)
    same(gl.from_pretrained(str(folder)), fit)
    same(gl.load(folder / "model.safetensors"), fit)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["library"] == "gradline"
    assert config["levels"] == {"sex": ["female", "male"]}
    assert config["terms"] == ["flipper_length_mm", "sex[male]"]
    (folder / "config.json").write_text('{"fit": "other", "model": 3}')
    same(gl.from_pretrained(folder), fit)  # nothing is read from it


def test_the_card(fit: gl.Fit, tmp_path: Path) -> None:
    fit.evaluate(part="test")
    fit.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "gradline"
    assert card.data.pipeline_tag == "tabular-regression"
    assert "tabular-regression" in card.data.tags
    text = card.text
    assert "# `body_mass_g`, predicted by gradline" in text
    assert "| `sex` | `female`, `male` |" in text
    assert "Certificate: exact." in text
    score = fit.evaluate(part="test")
    assert f"test: R² {score.r2:.6g}   RMSE {score.rmse:.6g}" in text
    # The card that somebody has written stays.
    (tmp_path / "README.md").write_text("mine")
    fit.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_hostile_names_stay_in_their_place(tmp_path: Path) -> None:
    name = "a | b\n---\ntags: [x]\n```\n# <script>`"
    data = {name: [1.0, 2.0, 4.0], "g": ["u`|`", "```\n# v", "u`|`"], "y": [1, 2, 3]}
    fit = gl.fit(data, target="y")
    fit.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert "tags" in card.data.to_dict()
    assert "x" not in card.data.tags
    lines = card.text.splitlines()
    headings = [line for line in lines if line.startswith("#")]
    assert headings == ["# `y`, predicted by gradline", "## Use", "## The fit"]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in table)
    gl.from_pretrained(tmp_path).predict(data)


class Api:
    """Stands in for the Hub: keeps what is uploaded."""

    kept: Path
    calls: list[tuple[str, dict[str, Any]]]

    def __init__(self, token: str | None = None) -> None:
        self.calls.append(("login", {"token": token}))

    def create_repo(self, **options: Any) -> Any:
        self.calls.append(("create", options))
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{options['repo_id']}")

    def upload_folder(self, **options: Any) -> str:
        self.calls.append(("upload", options))
        shutil.copytree(options["folder_path"], self.kept)
        return f"https://huggingface.co/{options['repo_id']}/commit/1"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Api]:
    Api.kept = tmp_path / "kept"
    Api.calls = []
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    return Api


def test_push(fit: gl.Fit, api: type[Api]) -> None:
    address = fit.push_to_hub("you/penguins", private=True, token="secret")
    assert address == "https://huggingface.co/you/penguins/commit/1"
    (_, login), (_, created), (_, uploaded) = api.calls
    assert login == {"token": "secret"}
    assert created == {"repo_id": "you/penguins", "private": True, "exist_ok": True}
    assert uploaded["repo_id"] == "you/penguins"
    assert uploaded["repo_type"] == "model"
    assert uploaded["commit_message"] == f"A fit by gradline {gl.__version__}"
    same(gl.from_pretrained(api.kept), fit)
    card = (api.kept / "README.md").read_text("utf-8")
    assert "gl.from_pretrained('you/penguins')" in card
    everything = "".join(
        path.read_bytes().decode("latin-1") for path in api.kept.iterdir()
    )
    assert "secret" not in everything


def test_from_a_repository(
    fit: gl.Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fit.save_pretrained(tmp_path)
    asked = []

    def download(repo_id: str, filename: str, **options: Any) -> str:
        asked.append((repo_id, filename, options["revision"]))
        return str(tmp_path / filename)

    hub._model_class.cache_clear()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    same(gl.from_pretrained("you/penguins", revision="v1"), fit)
    hub._model_class.cache_clear()
    assert asked == [
        ("you/penguins", "config.json", "v1"),
        ("you/penguins", "model.safetensors", "v1"),
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LocalEntryNotFoundError("It is not in the cache."), "it is not in the cache"),
        (HTTPError("Name or service not known"), "check the name of the repo"),
        (OSError(28, "No space left on device"), "no space left"),
    ],
)
def test_what_goes_wrong_on_the_way(
    error: Exception, message: str, fit: gl.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise error

    hub._model_class.cache_clear()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", fail)
    with pytest.raises(gl.FileError, match="cannot get 'you/penguins'") as caught:
        gl.from_pretrained("you/penguins")
    assert message in str(caught.value)
    hub._model_class.cache_clear()
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", fail)
    with pytest.raises(gl.FileError, match="cannot upload to 'you/penguins'"):
        fit.push_to_hub("you/penguins")


def test_what_is_given_wrongly(fit: gl.Fit, api: type[Api], tmp_path: Path) -> None:
    with pytest.raises(gl.UsageError, match="a name is like 'you/model'"):
        gl.from_pretrained("not a name/of/a repository", local_files_only=True)
    with pytest.raises(gl.UsageError, match="name is 3: give a repository"):
        gl.from_pretrained(3)  # type: ignore[arg-type]
    with pytest.raises(gl.UsageError, match="colour"):
        fit.push_to_hub("you/penguins", colour="red")
    assert not api.calls
    (tmp_path / "a file").write_text("")
    with pytest.raises(gl.FileError, match="cannot write"):
        fit.save_pretrained(tmp_path / "a file" / "folder")
    (tmp_path / "empty").mkdir()
    with pytest.raises(gl.FileError, match="there is no file"):
        gl.from_pretrained(tmp_path / "empty")


def test_without_the_extra(
    fit: gl.Fit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub._model_class.cache_clear()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    calls: list[Any] = [
        lambda: fit.save_pretrained(tmp_path / "f"),
        lambda: fit.push_to_hub("you/penguins"),
        lambda: gl.from_pretrained(tmp_path),
    ]
    for call in calls:
        with pytest.raises(
            gl.MissingExtraError, match=r"pip install 'gradline\[hub\]'"
        ):
            call()
    assert not list(tmp_path.iterdir())


def test_a_module_needs_its_code(tmp_path: Path) -> None:
    layers = torch.nn.Linear(1, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)
    module = torch.nn.Sequential(*layers)
    x = np.linspace(0, 1, 30)
    fit = gl.fit(x, 2 * x, model=module, epochs=5, lr=0.1, seed=0)
    fit.save_pretrained(tmp_path)
    with pytest.raises(gl.UsageError, match="gl.load\\(path, model=...\\)"):
        gl.from_pretrained(tmp_path)
    again = gl.from_pretrained(tmp_path, model=module)
    np.testing.assert_array_equal(again.predict(x), fit.predict(x))


def test_a_bare_module_by_the_mixin_of_torch(tmp_path: Path) -> None:
    """gl.LinearRegression is a module like any other."""

    class Line(gl.LinearRegression, PyTorchModelHubMixin):
        pass

    line = Line(3)
    line.save_pretrained(tmp_path)
    again = Line.from_pretrained(tmp_path)
    torch.testing.assert_close(again.weight, line.weight)
    assert again.weight.shape == (1, 3)
