"""Primitives: the tensor functions a plan knows, and the normal form of their many spellings.

A call that is not here still runs as it was recorded ("opaque"): its result is copied to its
place in the plan.
"""

from __future__ import annotations

ELEMENTWISE = frozenset(
    "abs add addcdiv addcmul bitwise_and bitwise_not bitwise_or ceil clamp clamp_max clamp_min cos "
    "div eq erf erfc exp expm1 floor ge gt le lerp log log1p logical_and logical_not logical_or lt "
    "maximum minimum mul ne neg pow reciprocal round rsqrt sigmoid sign sin sqrt square sub tanh "
    "trunc where xlogy".split()
)
"""Functions of each element alone, with `out=`; the result may take an operand's place."""

WITH_OUT = ELEMENTWISE | frozenset(
    "addmm addmv addr amax amin argmax argmin baddbmm bmm cat cumsum dot gather "
    "index_select log_softmax logsumexp mean mm mv scatter scatter_add softmax stack sum".split()
)
"""Functions that write their result to `out=`."""

POSITION_FREE = frozenset(
    "abs add addcdiv addcmul clamp clamp_max clamp_min div lerp maximum minimum mul neg "
    "reciprocal sign sqrt square sub".split()
)
"""Elementwise functions that give an element the same bits wherever it stands."""

COMMUTATIVE = frozenset(["add", "maximum", "minimum", "mul"])

COPIES = frozenset("clone contiguous double flatten float reshape to type type_as".split())
"""Calls that copy their first argument, where they do not return a view of it."""

EMPTY = frozenset(["empty", "empty_like", "empty_strided", "new_empty"])
FILLED = {
    "ones": 1,
    "new_ones": 1,
    "ones_like": 1,
    "zeros": 0,
    "new_zeros": 0,
    "zeros_like": 0,
    "zero_": 0,
}
"""Calls that fill a tensor with one number, and the number."""
FILLED_WITH_ARGUMENT = {"full": 1, "full_like": 1, "new_full": 2, "fill_": 1}
"""Calls that fill a tensor with a number, and where the number stands in their arguments."""

FILLS = frozenset(["fill_", "zero_"])
"""In-place calls that fill."""

OVERWRITING = frozenset(
    "bernoulli_ cauchy_ copy_ exponential_ geometric_ log_normal_ normal_ random_ uniform_".split()
)
"""In-place calls that do not read what was there."""

SPELLINGS = {
    "__add__": "add",
    "__and__": "bitwise_and",
    "__eq__": "eq",
    "__ge__": "ge",
    "__gt__": "gt",
    "__iadd__": "add_",
    "__imul__": "mul_",
    "__invert__": "bitwise_not",
    "__isub__": "sub_",
    "__itruediv__": "div_",
    "__le__": "le",
    "__lt__": "lt",
    "__matmul__": "matmul",
    "__mul__": "mul",
    "__ne__": "ne",
    "__neg__": "neg",
    "__or__": "bitwise_or",
    "__pow__": "pow",
    "__radd__": "add",
    "__rmul__": "mul",
    "__sub__": "sub",
    "__truediv__": "div",
    "arccos": "acos",
    "absolute": "abs",
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "special_expit": "sigmoid",
    "subtract": "sub",
    "true_divide": "div",
}

OPERANDS = {
    "addcdiv": ("input", "tensor1", "tensor2"),
    "addcmul": ("input", "tensor1", "tensor2"),
    "addmm": ("input", "mat1", "mat2"),
    "addmv": ("input", "mat", "vec"),
    "addr": ("input", "vec1", "vec2"),
    "baddbmm": ("input", "batch1", "batch2"),
    "bmm": ("input", "mat2"),
    "cat": ("tensors",),
    "copy_": ("input", "src"),
    "dot": ("input", "tensor"),
    "lerp": ("input", "end", "weight"),
    "mm": ("input", "mat2"),
    "mv": ("input", "vec"),
    "pow": ("input", "exponent"),
    "stack": ("tensors",),
    "where": ("condition", "input", "other"),
}
"""What the operands are called where they are passed by name: "input", "other" for all others."""

OF_METHODS = {"where": ("input", "condition", "other")}
"""What the operands of a method are called, in its order, where torch's function has another."""

REFLECTED = {"__rsub__": "sub", "__rpow__": "pow", "rsub": "sub"}
"""Spellings with their operands the other way round."""

RECIPROCALS = frozenset(["__rdiv__", "__rtruediv__"])
"""number / tensor, which PyTorch computes as tensor.reciprocal() * number."""
