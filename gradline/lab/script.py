"""A run as a plain PyTorch script that anybody can read, run and change.

Names of columns and files come from elsewhere, and may hold quotes and line ends: they
get into the script by ascii() alone, which makes a literal of them.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from gradline.data import Array
from gradline.errors import UsageError
from gradline.lab.bench import Bench
from gradline.lab.goals import Goal
from gradline.lab.mistakes import MISTAKES, MOST_PAIRED
from gradline.lab.runs import start_of
from gradline.lab.settings import Setting
from gradline.lab.walks import options_of
from gradline.truths import spellings

#: Up to so many rows the data stand in the script, if they can be read from a file.
INLINE_ROWS = 2_000

#: Numbers that stand in a script at the most.
INLINE_NUMBERS = 200_000


def script(bench: Bench, goal: Goal, setting: Setting, step: int) -> str:
    """The script of a run, up to a step.

    Args:
        bench: the data.
        goal: the loss.
        setting: of the run.
        step: the last one.

    Returns:
        Python that imports torch, and numpy or csv where it needs them. It prints
        "weight" and a list of the raw slopes, then "bias" and the raw intercept.

    Raises:
        UsageError: the rows are too many to stand in it, and in no CSV file that it
            could read.
    """
    name, batches = _kind(bench, setting)
    inline = _inline(bench, setting, batches or name != "")
    lines = ["# Gradient descent in plain PyTorch, as gradline's lab showed it."]
    lines += [] if inline else ["import csv"]
    lines += ["import math", ""] if not inline else []
    lines += ["import numpy"] if batches else []
    lines += ["import torch", ""]
    lines += _data_inline(bench) if inline else _data_of_file(bench)
    lines += [""]
    if name == "shapes":
        lines += [f"x, y = x[:{MOST_PAIRED}], y[:{MOST_PAIRED}]"]
    lines += [*_coordinates(setting, name), ""]
    lines += [*_model(bench, setting, name), ""]
    if not name and goal.name != "squared":
        delta = "" if goal.delta is None else f"delta={goal.delta!r}"
        kind = type(goal.module()).__name__
        lines += [f"loss_fn = torch.nn.{kind}({delta})"]
    else:
        lines += ["loss_fn = torch.nn.MSELoss()"]
    lines += [*_optimizer(setting, name), ""]
    lines += [*_loop(setting, step, batches, name), ""]
    lines += _result(setting, name)
    return "\n".join(lines) + "\n"


def check_script(bench: Bench, setting: Setting) -> None:
    """Refuse what no script can do.

    Raises:
        UsageError: as `script` does.
    """
    name, batches = _kind(bench, setting)
    _inline(bench, setting, batches or name != "")


def _kind(bench: Bench, setting: Setting) -> tuple[str, bool]:
    """The mistake in the loop, or "", and whether it goes by batches."""
    mistake = MISTAKES.get(setting.mistake)
    name = setting.mistake if mistake is not None and mistake.walk is not None else ""
    batches = bool(setting.batch_size) and not name
    return name, batches and setting.batch_size < len(bench.rows.y)


def _inline(bench: Bench, setting: Setting, sampled: bool) -> bool:
    """Whether the rows stand in the script."""
    count, size = len(bench.rows.y), bench.rows.X.size + len(bench.rows.y)
    loop = sampled or setting.loss != "squared"
    if bench.rows.whole and count <= INLINE_ROWS and size <= INLINE_NUMBERS:
        return True
    design = bench.survey.design
    readable = (
        setting.data.startswith("file:")
        and PurePath(bench.title).suffix.lower() in (".csv", ".tsv", ".txt")
        and design.encoding is None
        and not setting.validation
        and (bench.rows.whole or not loop)
    )
    if readable:
        return False
    if (bench.rows.whole or loop) and size <= INLINE_NUMBERS:
        return True
    raise UsageError(
        f"{bench.survey.tally.rows:,} rows are too many to stand in a script, and it "
        "can read them from a CSV file only, all of them and as they are: turn off "
        "validation and the degree, or open fewer rows"
    )


def _numbers(values: Array) -> str:
    return "[" + ", ".join(repr(v) for v in values.tolist()) + "]"


def _data_inline(bench: Bench) -> list[str]:
    X, y, _ = bench.rows
    lines = [f"# Each row: {list(bench.terms)!a}, from {bench.title!a}."]
    lines += ["x = torch.tensor("]
    lines += ["    ["] + [f"        {_numbers(row)}," for row in X] + ["    ],"]
    lines += ["    dtype=torch.float64,", ")"]
    lines += [f"# {bench.survey.design.response!a}"]
    return [*lines, f"y = torch.tensor({_numbers(y)}, dtype=torch.float64)"]


def _data_of_file(bench: Bench) -> list[str]:
    design = bench.survey.design
    needed = [*design.features, design.target]
    lines = [
        f"with open({bench.title!a}, newline='', encoding='utf-8-sig') as file:",
        "    for delimiter in ',;\\t|':",
        "        file.seek(0)",
        "        header, *lines = csv.reader(file, delimiter=delimiter)",
        "        header = [name.strip() for name in header]",
        f"        if {{{', '.join(map(ascii, needed))}}} <= set(header):",
        "            break",
        "table = [dict(zip(header, line)) for line in lines]",
        "",
        "",
        "def number(text):",
        "    try:",
        "        return float(text if delimiter == ',' else text.replace(',', '.'))",
        "    except (AttributeError, TypeError, ValueError):",
        "        return math.nan  # missing",
        "",
        "",
        "def terms(row):",
        "    found = []",
    ]
    for feature in design.features:
        if feature in design.levels:
            levels = list(design.levels[feature])
            written = f"row.get({feature!a})"
            if meant := spellings(levels):  # in a file also true, or TRUE
                written = f"{meant!a}.get({written}, {written})"
            lines += [
                f"    levels = {levels!a}",
                f"    level = {written}",
                "    missing = 0.0 if level in levels else math.nan",
                "    found += [missing + (level == other) for other in levels[1:]]",
            ]
        else:
            lines += [f"    found += [number(row.get({feature!a}))]"]
    return [
        *lines,
        "    return found",
        "",
        "",
        "x = torch.tensor([terms(row) for row in table], dtype=torch.float64)",
        f"y = [number(row.get({design.target!a})) for row in table]",
        "y = torch.tensor(y, dtype=torch.float64)",
        "complete = torch.isfinite(x).all(dim=1) & torch.isfinite(y)",
        "x, y = x[complete], y[complete]",
        f"assert len(y) == {bench.survey.tally.rows}, 'the file is another one'",
    ]


def _coordinates(setting: Setting, name: str) -> list[str]:
    if name == "float32":
        return [
            "x, y = x.float(), y.float()  # the mistake: the offset is still in x",
            "mean, scale = x.mean(dim=0), x.std(dim=0, correction=0)",
            "scale = torch.where(scale > 0, scale, 1.0)",
            "x = (x - mean) / scale",
        ]
    if not setting.standardize:
        return []
    return [
        "mean, scale = x.mean(dim=0), x.std(dim=0, correction=0)",
        "x = (x - mean) / scale",
    ]


def _model(bench: Bench, setting: Setting, name: str) -> list[str]:
    inner = bench.loss(setting.standardize).inward(start_of(bench, setting)).numpy()
    kind = "torch.float32" if name == "float32" else "torch.float64"
    weight = f"torch.tensor([{_numbers(inner[:-1])}], dtype=torch.float64)"
    bias = f"torch.tensor({_numbers(inner[-1:])}, dtype=torch.float64)"
    return [
        f"model = torch.nn.Linear({len(inner) - 1}, 1, dtype={kind})",
        "with torch.no_grad():  # where the descent began",
        f"    model.weight.copy_({weight})",
        f"    model.bias.copy_({bias})",
    ]


def _optimizer(setting: Setting, name: str) -> list[str]:
    options: dict[str, Any] = {"lr": setting.lr}
    if name != "float32":
        options |= options_of(setting)
    if name:
        options = {k: v for k, v in options.items() if k == "lr" or v}
    kind = "SGD" if name else setting.optimizer
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return [f"optimizer = torch.optim.{kind}(model.parameters(), {given})"]


def _loop(setting: Setting, step: int, batches: bool, name: str) -> list[str]:
    rows = "[rows]" if batches else ""
    five = [
        f"prediction = model(x{rows})[:, 0]",
        f"loss = loss_fn(prediction, y{rows})",
        "optimizer.zero_grad()",
        "loss.backward()",
        "optimizer.step()",
    ]
    if name == "no_zero_grad":
        five[2] = "# The mistake: optimizer.zero_grad() is missing."
    if name == "shapes":
        five[0] = "prediction = model(x)"
        five[1] = "loss = ((prediction - y) ** 2).mean()  # the mistake: (n, 1) - (n,)"
    if not batches:
        return [f"for step in range({step}):", *(f"    {line}" for line in five)]
    return [
        "step = epoch = 0",
        f"while step < {step}:",
        "    epoch += 1",
        f"    random = numpy.random.default_rng([{setting.seed}, epoch])",
        "    order = torch.from_numpy(random.permutation(len(y)))",
        f"    for rows in order.split({setting.batch_size}):",
        *(f"        {line}" for line in five),
        "        step += 1",
        f"        if step == {step}:",
        "            break",
    ]


def _result(setting: Setting, name: str) -> list[str]:
    lines = ["weight, bias = model.weight.detach()[0], model.bias.detach()[0]"]
    if setting.standardize or name == "float32":
        lines = [
            "# Back to the units of the data.",
            "weight = model.weight.detach()[0].double() / scale.double()",
            "bias = model.bias.detach()[0].double() - weight @ mean.double()",
        ]
    return [*lines, 'print("weight", weight.tolist())', 'print("bias", bias.item())']
