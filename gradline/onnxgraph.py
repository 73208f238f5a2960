"""A fit as an ONNX graph, written node by node: nothing is traced.

Inputs are the columns of the data by name, (rows,) each, with any number of rows:
double for numbers, string for categories ("3" for a number 3, "True" for true). The
output is the prediction, (rows,) double.

    prediction = level + (N - center) W + Σ table[cell] · P

N (rows, k) are the terms of numbers alone. A piece with categories is a table with a
row for each choice of levels, read at the cell of each row of the data and multiplied
by P (rows, j), the products of its other factors. Each category has one more place, for
a level that is not known, whose rows in the table are NaN. So a row with an unknown
level, a missing or infinite value, or a term that is not defined predicts NaN.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradline.errors import MissingExtraError, UsageError
from gradline.formula import Arithmetic, Call, Column, Constant, Factor, Numbers
from gradline.poly import Polynomials
from gradline.recipe import Piece, Recipe, output_name, simple
from gradline.truths import spellings

#: What runtimes of the last years all read.
OPSET, ML_OPSET, IR_VERSION = 17, 2, 8

#: Cells of a table: of doubles, 400 MB.
MOST_CELLS = 50_000_000

_OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "^": "Pow"}
_FUNCTIONS = {"exp": "Exp", "sqrt": "Sqrt", "abs": "Abs"}
_LOGARITHMS = {"log": 1.0, "log2": math.log(2), "log10": math.log(10)}


def onnx_bytes(known: Recipe, about: dict[str, str]) -> bytes:
    """The ONNX file of a recipe, checked.

    Args:
        known: what it computes.
        about: goes into its metadata.

    Raises:
        MissingExtraError: onnx is not installed.
        UsageError: a column has no name; or categories have too many choices.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(
            "an ONNX file is written with onnx, which is not installed: "
            "pip install 'gradline[onnx]'"
        ) from error
    graph = _Graph(known)
    model = graph.model(about)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of protobuf, of the checker: none is the user's
        raise UsageError(
            f"this fit makes no valid ONNX file ({str(error).splitlines()[0]:.100}): "
            "export it --to pytorch or --to sql"
        ) from error
    return bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants, as they are added."""

    def __init__(self, known: Recipe) -> None:
        self.known = known
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = itertools.count()
        self._taken = {*known.features}
        self._columns: dict[str, str] = {}  # of numbers, (rows, 1)
        self._codes: dict[str, str] = {}  # of categories, (rows,)
        self._made: dict[tuple[Factor, int], list[str]] = {}
        if "" in self._taken:
            raise UsageError(
                "a feature has no name, and inputs of ONNX need one: name the column "
                "and fit again"
            )

    def model(self, about: dict[str, str]) -> Any:
        """The whole graph as a model."""
        from onnx import TensorProto, helper

        output = output_name(self.known)
        self._taken.add(output)
        self._predict(output)
        known = self.known
        inputs = [
            helper.make_tensor_value_info(
                name,
                TensorProto.DOUBLE if name in known.numbers else TensorProto.STRING,
                ["rows"],
            )
            for name in known.features
        ]
        found = helper.make_tensor_value_info(output, TensorProto.DOUBLE, ["rows"])
        graph = helper.make_graph(
            self.nodes, "gradline", inputs, [found], self.constants
        )
        model = helper.make_model(
            graph,
            producer_name="gradline",
            producer_version=about.get("gradline", ""),
            ir_version=IR_VERSION,
            doc_string=known.about,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid("ai.onnx.ml", ML_OPSET),
            ],
        )
        terms = [name for piece in known.pieces for name in piece.names]
        about = about | {"target": known.target, "terms": json.dumps(terms)}
        helper.set_model_props(model, about)
        return model

    # Parts of a graph.

    def fresh(self, name: str = "v") -> str:
        """A name that no column and nothing else has."""
        while name in self._taken:
            name = f"{name.rstrip('0123456789')}{next(self._count)}"
        self._taken.add(name)
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node; returns the name of what it gives."""
        from onnx import helper

        found: str = attributes.pop("output", None) or self.fresh()
        self.nodes.append(
            helper.make_node(operator, list(inputs), [found], **attributes)
        )
        return found

    def constant(self, values: Any, kind: Any = np.float64) -> str:
        """An array that stands in the file."""
        from onnx import numpy_helper

        name = self.fresh("c")
        array = np.asarray(values, dtype=kind)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def column(self, name: str) -> str:
        """A column of numbers, (rows, 1)."""
        if name not in self._columns:
            axis = self.constant([1], np.int64)
            self._columns[name] = self.add("Unsqueeze", name, axis)
        return self._columns[name]

    def codes(self, name: str) -> str:
        """The places of a category's levels, (rows,); their number where unknown."""
        if name not in self._codes:
            levels = self.known.levels[name]
            places: dict[str, Any] = {
                "values_int64s": list(range(len(levels))),
                "default_int64": len(levels),
                "domain": "ai.onnx.ml",
            }
            if name in self.known.numbers:  # it is a number too, so the input is one
                found = self._codes_of_number(name, levels)
            else:
                others = spellings(levels)  # of true and false
                places["values_int64s"] += [levels.index(v) for v in others.values()]
                texts = [*levels, *others]
                keys = [text.encode("utf-8", "surrogatepass") for text in texts]
                found = self.add("LabelEncoder", name, keys_strings=keys, **places)
            self._codes[name] = found
        return self._codes[name]

    def _codes_of_number(self, name: str, levels: Sequence[str]) -> str:
        """The same of a column that is read as numbers."""
        values = self.constant([[float(level) for level in levels]])
        equal = self.add("Equal", self.column(name), values)  # (rows, levels)
        # The place of the level above the unknown: L - (L - k) is k, else L - 0.
        less = self.constant(np.arange(len(levels), 0, -1)[:, None], np.float64)
        hit = self.add("Cast", equal, to=11)  # double
        offset = self.add("MatMul", hit, less)
        code = self.add("Sub", self.constant([[float(len(levels))]]), offset)
        code = self.add("Squeeze", code, self.constant([1], np.int64))
        return self.add("Cast", code, to=7)  # int64

    # The prediction.

    def _predict(self, output: str) -> None:
        known = self.known
        alone = [piece for piece in known.pieces if not piece.categories]
        with_levels = [piece for piece in known.pieces if piece.categories]
        total = self.constant([known.constant])
        if alone:
            columns = [c for piece in alone for c in self._products(piece)]
            block = self.add("Concat", *columns, axis=1)
            center = self.constant(np.concatenate([p.centers for p in alone]))
            slopes = np.concatenate([p.slopes for p in alone])
            centred = self.add("Sub", block, center)
            product = self.add("MatMul", centred, self.constant(slopes[:, None]))
            flat = self.add("Squeeze", product, self.constant([1], np.int64))
            total = self.add("Add", flat, total)
        for piece in with_levels:
            total = self.add("Add", total, self._piece(piece))
        total = self.add("Add", total, self._incomplete())
        # What is infinite is no prediction: total + (total - total).
        self.add("Add", total, self.add("Sub", total, total), output=output)

    def _incomplete(self) -> str:
        """0, or NaN where a value is missing, infinite or unknown, (rows,)."""
        known = self.known
        found = []
        if known.numbers:
            block = self.add("Concat", *map(self.column, known.numbers), axis=1)
            gone = self.add("Sub", block, block)
            axis = self.constant([1], np.int64)
            found.append(self.add("ReduceSum", gone, axis, keepdims=0))
        met = {name for piece in known.pieces for name in piece.categories}
        for name, levels in known.levels.items():
            if name not in met:  # it has one level, which changes nothing
                table = self.constant([0.0] * len(levels) + [math.nan])
                found.append(self.add("Gather", table, self.codes(name)))
        while len(found) > 1:
            found.append(self.add("Add", found.pop(0), found.pop(0)))
        return found[0] if found else self.constant([0.0])

    def _piece(self, piece: Piece) -> str:
        """What a piece with categories adds, (rows,)."""
        names = piece.categories
        sizes = [len(self.known.levels[name]) + 1 for name in names]
        k = piece.slopes.shape[-1]
        if math.prod(sizes) * k > MOST_CELLS:
            raise UsageError(
                f"{' and '.join(names)} have {math.prod(sizes):,} choices of levels, "
                "too many for a table in an ONNX file: export it --to pytorch"
            )
        room = [(0, 1)] * len(names)
        table = np.pad(piece.slopes, [*room, (0, 0)], constant_values=math.nan)
        cell = self.codes(names[0])
        for name, size in zip(names[1:], sizes[1:], strict=True):
            cell = self.add("Mul", cell, self.constant([size], np.int64))
            cell = self.add("Add", cell, self.codes(name))
        if not piece.numeric:
            return self.add("Gather", self.constant(table.reshape(-1)), cell)
        slopes = self.add("Gather", self.constant(table.reshape(-1, k)), cell, axis=0)
        block = self.add("Concat", *self._products(piece), axis=1)
        axis = self.constant([1], np.int64)
        return self.add("ReduceSum", self.add("Mul", slopes, block), axis, keepdims=0)

    # Terms.

    def _products(self, piece: Piece) -> list[str]:
        """Products of the factors' columns, (rows, 1) each; the first is fastest."""
        found: list[str] = []
        for factor in piece.numeric:
            columns = self._factor(factor)
            if found:
                columns = [self.add("Mul", a, b) for b in columns for a in found]
            found = columns
        return found

    def _factor(self, factor: Factor) -> list[str]:
        """The columns of a factor of numbers, (rows, 1) each."""
        key = (factor, factor.degree)
        if key not in self._made:
            self._made[key] = self._columns_of(factor)
        return self._made[key]

    def _columns_of(self, factor: Factor) -> list[str]:
        x = self._expression(simple(factor.of))
        if factor.kind == "numbers":
            return [x]
        if factor.raw:
            powers = [self.constant([[float(k)]]) for k in range(2, factor.degree + 1)]
            return [x, *(self.add("Pow", x, power) for power in powers)]
        learned = self.known.learned[factor.text]
        apart = self.add("Sub", x, self._number(learned.middle))
        if factor.kind == "center":
            return [
                self.add("Sub", apart, self._number(learned.half * learned.alpha[0]))
            ]
        t = self.add("Div", apart, self._number(learned.half))
        if factor.kind == "scale":
            centred = self.add("Sub", t, self._number(learned.alpha[0]))
            return [self.add("Div", centred, self._number(learned.deviation))]
        return self._polynomials(t, learned)

    def _polynomials(self, t: str, learned: Polynomials) -> list[str]:
        """q_1(t) to q_N(t) by their recurrence, see poly.py."""
        before, now = "", self._number(1 / math.sqrt(learned.rows))
        shrunk = 0.0
        found = []
        for alpha, beta in zip(learned.alpha, learned.beta, strict=True):
            after = self.add("Sub", t, self._number(alpha))
            after = self.add("Mul", after, now)
            if before:
                past = self.add("Mul", before, self._number(shrunk))
                after = self.add("Sub", after, past)
            after = self.add("Div", after, self._number(beta))
            before, now, shrunk = now, after, beta
            found.append(now)
        return found

    def _number(self, value: float) -> str:
        return self.constant([[value]])

    # Arithmetic.

    def _expression(self, numbers: Numbers) -> str:
        """Arithmetic on columns, (rows, 1), or (1, 1) without any."""
        if isinstance(numbers, Column):
            return self.column(numbers.name)
        if isinstance(numbers, Constant):
            return self._number(numbers.value)
        if isinstance(numbers, Arithmetic):
            ((operator, operand),) = numbers.rest
            left, right = self._expression(numbers.first), self._expression(operand)
            return self.add(_OPERATORS[operator], left, right)
        return self._call(numbers)

    def _call(self, call: Call) -> str:
        x = self._expression(call.of)
        if call.function in _FUNCTIONS:
            return self.add(_FUNCTIONS[call.function], x)
        if call.function == "square":
            return self.add("Mul", x, x)
        if call.function == "log1p":
            return self._log1p(x)
        found = self.add("Log", x)
        base = _LOGARITHMS[call.function]
        return found if base == 1.0 else self.add("Div", found, self._number(base))

    def _log1p(self, x: str) -> str:
        """log(u) x / (u - 1) with u = 1 + x, or x where u is 1: see Kahan.

        u - 1 is what rounding has left of x, so its error and that of log(u) cancel.
        """
        one = self._number(1.0)
        u = self.add("Add", one, x)
        left = self.add("Sub", u, one)
        same = self.add("Equal", left, self._number(0.0))
        log = self.add("Log", u)
        safe = self.add("Where", same, one, left)
        exact = self.add("Mul", log, self.add("Div", x, safe))
        return self.add("Where", same, x, exact)
