"""Fits on the Hugging Face Hub: a folder with the model file, config.json and a card.

The folder is what huggingface_hub's ModelHubMixin makes of a model, and this file says
how a fit is one: model.safetensors is what `fit.save` writes, and all that is read
again; config.json and README.md are for people and for the Hub's pages. Nothing in a
repository can run code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradline import __version__
from gradline.errors import FileError, GradlineError, MissingExtraError, UsageError
from gradline.files import cannot_write, said
from gradline.save import load, save, strict_json

if TYPE_CHECKING:
    from torch import nn

    from gradline.result import Fit

#: The model file in a repository.
MODEL = "model.safetensors"

#: Levels that a card lists of one category.
MOST_LISTED = 50


def from_pretrained(
    name: str | Path, model: nn.Module | None = None, **options: Any
) -> Fit:
    """A fit from the Hugging Face Hub, or from a folder that `save_pretrained` wrote.

    Args:
        name: of the repository, such as "you/penguins"; or the path of a folder.
        model: of a fit of a torch module, a module of the same shape.
        **options: those of huggingface_hub.ModelHubMixin.from_pretrained: revision,
            token, cache_dir, force_download, local_files_only.

    Raises:
        FileError: there is no such repository or folder, or the Hub is out of reach.
        MissingExtraError: huggingface-hub is not installed.
        ModelFileError: the file in it is not a gradline model, or is damaged.

    Equivalent: gl.load(huggingface_hub.hf_hub_download(name, "model.safetensors")).
    """
    kind = _model_class()
    if not isinstance(name, (str, os.PathLike)):
        raise UsageError(
            f"name is {name!r}: give a repository such as 'you/penguins', or a folder"
        )
    with _said(f"cannot get {os.fspath(name)!r} from the Hugging Face Hub"):
        found: Fit = kind.from_pretrained(name, model=model, **options).fit
    return found


def save_pretrained(fit: Fit, folder: str | Path) -> None:
    """Write the folder of a fit: see Fit.save_pretrained."""
    kind = _model_class()
    try:
        kind(fit).save_pretrained(folder)
    except GradlineError:
        raise
    except OSError as error:
        raise cannot_write(folder, error) from error


def push_to_hub(fit: Fit, repo: str, **options: Any) -> str:
    """Upload a fit: see Fit.push_to_hub."""
    model = _model_class()(fit)
    options.setdefault("commit_message", f"A fit by gradline {__version__}")
    with _said(f"cannot upload to {repo!r}"):
        return str(model.push_to_hub(repo, model_card_kwargs={"repo": repo}, **options))


@contextmanager
def _said(what: str) -> Iterator[None]:
    """A block that talks to the Hub: what goes wrong in it becomes one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except GradlineError:
        raise
    except HFValidationError as error:
        raise UsageError(f"{what}: {said(error)}; a name is like 'you/model'") from None
    except TypeError as error:  # an option that huggingface_hub does not have
        raise UsageError(f"{what}: {said(error)}") from error
    except HfHubHTTPError as error:
        why = f"{said(error)}; check the name, and log in with 'hf auth login'"
        raise FileError(f"{what}: {why}") from error
    except Exception as error:
        maker = type(error).__module__.split(".")[0]
        if not isinstance(error, OSError) and not maker.startswith(
            ("httpx", "hugging")
        ):
            raise
        why = f"{said(error)}; check the name of the repository and the network"
        raise FileError(f"{what}: {why}") from error


@cache
def _model_class() -> Any:
    """The mixin's model that holds a fit: made when it is needed, as it is an extra."""
    try:
        from huggingface_hub import (
            ModelCard,
            ModelHubMixin,
            hf_hub_download,
        )
    except ImportError as error:
        raise MissingExtraError(
            "the Hugging Face Hub is reached by huggingface-hub, which is not "
            "installed: pip install 'gradline[hub]'"
        ) from error

    class HubModel(
        ModelHubMixin,
        library_name="gradline",
        pipeline_tag="tabular-regression",
        tags=["tabular-regression", "linear-regression", "pytorch"],
    ):
        """A fit, as the mixin saves and loads one."""

        def __init__(self, fit: Fit) -> None:
            self.fit = fit

        def _save_pretrained(self, save_directory: Path) -> None:
            save(self.fit, save_directory / MODEL)
            config = strict_json(about(self.fit), indent=2)
            (save_directory / "config.json").write_text(config + "\n", "utf-8")

        @classmethod
        def _from_pretrained(
            cls, *, model_id: str, model: nn.Module | None = None, **options: Any
        ) -> HubModel:
            if Path(model_id).is_dir():
                file = Path(model_id) / MODEL
            else:
                file = Path(hf_hub_download(model_id, MODEL, **options))
            return cls(load(file, model))

        def generate_model_card(self, repo: str | None = None) -> Any:
            """The README of the repository: its header, and what the fit says."""
            known: Any = self._hub_mixin_info.model_card_data
            header = known.to_yaml(line_break="\n")
            return ModelCard(f"---\n{header}\n---\n\n{card(self.fit, repo)}")

    return HubModel


def about(fit: Fit) -> dict[str, Any]:
    """What config.json says: for people and pages, never read again."""
    design = fit.design
    encoding = design.encoding
    return {
        "library": "gradline",
        "gradline": __version__,
        "target": fit.target,
        "features": list(design.features),
        "levels": {name: list(values) for name, values in design.levels.items()},
        "formula": None if encoding is None or not encoding.text else encoding.text,
        "terms": list(design.terms),
        "rows": fit.rows,
        "how": fit.how,
        "metrics": fit.metrics.at_hand,
        "certificate": fit.certificate.to_dict(),
    }


def card(fit: Fit, repo: str | None = None) -> str:
    """A model card in Markdown, without its header.

    Args:
        fit: the fit.
        repo: where it will be, for the line that loads it.
    """
    place = repr(repo) if repo else '"you/this-repository"'
    design = fit.design
    lines = [
        f"# {_code(fit.target)}, predicted by gradline",
        "",
        f"Linear regression, {_plain(fit.how)}, on {fit.rows:,} rows.",
        "",
        "| feature | values |",
        "|---|---|",
    ]
    for name in design.features:
        kinds = ["a number"] if name in design.numbers else []
        if name in design.levels:
            levels = design.levels[name]
            shown = ", ".join(map(_code, levels[:MOST_LISTED]))
            rest = len(levels) - MOST_LISTED
            kinds.append(shown + (f" and {rest:,} more" if rest > 0 else ""))
        lines.append(f"| {_code(name)} | {'; as a category: '.join(kinds)} |")
    lines += ["", "## Use", "", "```python", "import gradline as gl", ""]
    lines += [f"fit = gl.from_pretrained({place})"]
    lines += [f"fit.predict(data)  # columns {list(design.features)!a:.300}", "```"]
    lines += ["", "`pip install 'gradline[hub]'`. The model file holds no code."]
    lines += ["", "## The fit", "", *_fenced(str(fit)), ""]
    return "\n".join(lines)


def _fenced(text: str) -> list[str]:
    """Text as a block of its own, whatever it holds."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _plain(text: str) -> str:
    """Text on one line, with no Markdown in it."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _code(name: str) -> str:
    """A name as code, on one line, in a table too."""
    text = name if name.isprintable() else ascii(name)[1:-1]
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or not text.strip() else ""
    text = text.replace("|", "\\|")
    return f"{fence}{pad}{text or ' '}{pad}{fence}"
