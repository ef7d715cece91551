"""Constructors refuse what is of another type, in one sentence that names the argument."""

from __future__ import annotations

import json
import re
import subprocess
import sys

TEXT = '*/ __asm__("nop"); /*'
INFINITE, NAN = float("inf"), float("nan")

WRONG = [
    ("NeuralTangentLinear(3, 2, zero=TEXT)", "NeuralTangentLinear: expected True or False as zero"),
    ("NeuralTangentLinear(True, 2)", "NeuralTangentLinear: expected a whole number as inputs"),
    ("FullyConnected(TEXT, 2)", "FullyConnected: expected a whole number as inputs"),
    ("FullyConnected(3, 2.0)", "FullyConnected: expected a whole number as outputs, got 2.0"),
    ("FullyConnected(3, -(10**5000))", "expected outputs of 1 or more, got a int"),
    ("FullyConnected(3, 10**30)", "FullyConnected: expected outputs of 2147483647 at most, got 1"),
    ("LayerNorm(3, 10**30).eps", "made 1e+30"),
    ("FullyConnected(3, 2, bias=1)", "FullyConnected: expected True or False as bias, got 1"),
    ("FullyConnected(3, 2, initializer=TEXT)", "expected a Initializer as initializer"),
    ("Scale(0)", "Scale: expected features of 1 or more, got 0"),
    ("Scale(None)", "Scale: expected a whole number as features, got None"),
    ("Dropout(True)", "Dropout: expected a number as rate, got True"),
    ("Dropout(NAN)", "Dropout: expected a finite rate, got nan"),
    ("KaimingNormal(TEXT)", "KaimingNormal: expected a number as gain"),
    ("XavierUniform(INFINITE)", "XavierUniform: expected a finite gain, got inf"),
    ("XavierUniform(10**400)", "XavierUniform: expected a finite gain"),
    ("Residual(5)", "Residual: expected a Layer as branch, got 5"),
    ("Sequential([5])", "Sequential: expected layers, got 5"),
    ("Sequential(Tanh())", "Sequential: expected a list of layers, got Tanh()"),
    ("Stack([[Tanh()]])", "Stack: expected layers, got [Tanh()]"),
    ("Sum(None)", "Sum: expected a list of layers, got None"),
    ("Product(TEXT)", "Product: expected layers, got '*'"),
    ("SGD(TEXT)", "SGD: expected a number as weight_decay"),
    ("SGD(-1)", "SGD: expected weight_decay of 0 or more, got -1"),
    ("Momentum(nesterov=TEXT)", "Momentum: expected True or False as nesterov"),
    ("Adam(beta1=True)", "Adam: expected a number as beta1, got True"),
    ("WithRate(TEXT, 2.0)", "WithRate: expected a UpdateRule as rule"),
]

SCRIPT = f"""
import json, sys
from backhand import *
TEXT, INFINITE, NAN = {TEXT!r}, float("inf"), float("nan")
said = []
for text in json.loads(sys.argv[1]):
    try:
        said.append(f"made {{eval(text)!r}}")
    except (TypeError, ValueError) as problem:
        said.append(str(problem))
print(json.dumps(said))
"""


def test_every_constructor_checks_its_arguments() -> None:
    """In a process of its own: here the annotations are checked first, elsewhere they are not."""
    texts = json.dumps([text for text, _ in WRONG])
    command = [sys.executable, "-c", SCRIPT, texts]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for (text, expected), said in zip(WRONG, json.loads(printed), strict=True):
        assert expected in said, text
        assert "\n" not in said
        assert len(said) < 200


EVERY = """
import inspect, json, sys
import torch
import backhand as bh
given = {"int": 2, "float": 0.5, "bool": False, "Layer": bh.Tanh(), "Iterable[Layer]": [bh.Tanh()]}
given |= {"Loss": bh.MSELoss(), "Sequence[float] | float": 0.5}
checked = (bh.Layer, bh.UpdateRule, bh.Initializer, bh.Loss)
kept, unsaid = [], []
refused = (sys.argv[1], [[]], {"a": 1}, float("nan"), 1j, b"x", object(), [1, "a"])
others = (None, True, 0, -1, 2.5, float("inf"), [], (), 10**12, torch.zeros(2))
for name in bh.__all__:
    each = getattr(bh, name)
    if not (isinstance(each, type) and issubclass(each, checked)):
        continue
    arguments = inspect.signature(each).parameters.values()
    needed = {a.name: given.get(str(a.annotation), 2) for a in arguments if a.default is a.empty}
    for argument in arguments:
        if argument.kind is argument.VAR_POSITIONAL:
            continue
        for value in refused + others:
            call = f"{name}({argument.name}={value!r})"
            try:
                each(**needed | {argument.name: value})
            except (TypeError, ValueError) as problem:
                said = str(problem)
                if not said.startswith(name) or "\\n" in said or len(said) > 250:
                    unsaid.append(f"{call}: {said}")
            except BaseException as problem:
                unsaid.append(f"{call}: {problem!r}")
            else:
                if any(value is one for one in refused):
                    kept.append(call)
print(json.dumps([kept, unsaid]))
"""


def test_no_public_layer_rule_loss_or_initializer_keeps_a_text_or_a_list_for_a_number() -> None:
    """Nor NaN, nor what is no number; and whatever is refused is so in a sentence with its name."""
    command = [sys.executable, "-c", EVERY, TEXT]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    kept, unsaid = json.loads(printed)
    allowed = r"\w+\((branches|layers)=|\w+\(\w*shape=\[|\w+\(\w*axes=\["
    assert [each for each in kept if not re.match(allowed, each)] == []
    assert unsaid == []
