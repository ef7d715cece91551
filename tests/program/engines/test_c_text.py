"""What a layer is called says something in C, and does nothing."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import torch

import backhand as bh
import backhand.program as program
from backhand.program.engines.native.c_text import as_comment, identifier
from backhand.program.export.c import export_c

STRICT = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "-o"]

HOSTILE = [
    "*/ int planted = 1; /*",
    "/*/ int planted = 1; /*/ int planted_too = 1; /*",
    "*\n/ int planted = 1; /\n*",
    "*\\\n/ int planted = 1; /\\\n*",
    "*??/\n/ int planted = 1; /??/\n*",
    "*\r/ int planted = 1; \x0c\x00 /*",
    "ends with a backslash \\",
    "ends with a star *",
    "ends with a trigraph ???/",
    "größer */ 中文 /* \ud800 \u2028 int planted = 1;",
]


class Called(bh.Layer):
    """Twice the input, under any name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.factor = bh.Parameter(torch.full((3,), 2.0))

    def forward(self, input, training):
        return input * self.factor.value, input

    def propagate(self, error, input, learning_rate):
        input_error = error * self.factor.value
        self.factor.learn_sum(error * input, learning_rate)
        return input_error

    def __repr__(self) -> str:
        return self.text


def compiled(source: str, folder: Path, *more: str) -> bytes:
    """The object file that a strict compiler makes of a source file."""
    (folder / "it.c").write_text(source)
    command = [*STRICT, "it.o", "it.c", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / "it.o").read_bytes()


def exported(network: bh.Layer, folder: Path) -> tuple[bytes, str]:
    """The object code of a network's C, and its text without comments."""
    files = export_c(network, torch.ones(2, 3), bh.MSELoss(), torch.zeros(2, 3), name="net")
    files.write(folder)
    text = re.sub(r"/\*.*?\*/", "", files.source + files.header, flags=re.DOTALL)
    return compiled(files.source, folder), text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_layers_name_changes_nothing_but_comments_of_exported_c(text, tmp_path) -> None:
    code, words = exported(bh.Sequential([Called("plain"), bh.Tanh()]), tmp_path)
    hostile_code, hostile_words = exported(bh.Sequential([Called(text), bh.Tanh()]), tmp_path)
    assert hostile_words == words
    assert hostile_code == code
    assert b"planted" not in hostile_code


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nor_of_the_steps_that_run(text) -> None:
    results = []
    for name in ("plain", text):
        network = bh.Sequential([Called(name), bh.Tanh()])
        step = bh.TrainingStep(network, bh.MSELoss(), engine=program.Native())
        loss = step(torch.ones(2, 3), torch.zeros(2, 3), 0.1)
        results.append((loss.item(), network.layers[0].factor.value.tolist()))
        replayed = bh.Sequential([Called(name), bh.Tanh()])
        bh.TrainingStep(replayed, bh.MSELoss(), engine=program.Replay())(
            torch.ones(2, 3), torch.zeros(2, 3), 0.1
        )
        torch.testing.assert_close(replayed.layers[0].factor.value, network.layers[0].factor.value)
    assert results[0] == results[1]


def test_a_comment_is_one_comment_whatever_is_in_it(tmp_path) -> None:
    source = "\n".join([*(as_comment("it", text, text) for text in HOSTILE), "int only_this;"])
    assert b"planted" not in compiled(source, tmp_path)
    assert as_comment("no line is joined\\", "to the next") == (
        "/* no line is joined_\n   to the next */"
    )
    assert re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL).strip() == "int only_this;"


NAMES = "memory seed predict while true i1 größe lr mul rate".split()


@pytest.mark.parametrize("name", [*NAMES, "a b"])
def test_a_weight_may_be_called_anything(name, tmp_path) -> None:
    class Named(bh.Layer):
        def __init__(self) -> None:
            setattr(self, name, bh.Parameter(torch.full((3,), 2.0)))

        def forward(self, input, training):
            return input * vars(self)[name].value, input

        def propagate(self, error, input, learning_rate):
            vars(self)[name].learn_sum(error * input, learning_rate)
            return error * 2

    exported(Named(), tmp_path)
    for engine in (program.Native(), program.Replay()):
        network = Named()
        step = bh.TrainingStep(network, bh.MSELoss(), engine=engine)
        assert step(torch.ones(2, 3), torch.zeros(2, 3), 0.1).item() == 4
        torch.testing.assert_close(vars(network)[name].value, torch.full((3,), 2 - 0.1 * 4 / 3))


def test_names_that_c_keeps_or_the_writer_makes_up_are_left_to_them() -> None:
    assert identifier("weight_0") == "weight_0"
    assert [identifier(each) for each in ("int", "i1", "é", "0", "")] == [
        "int_",
        "i1_",
        "x_",
        "x0_",
        "x",
    ]


def test_no_comment_is_written_elsewhere() -> None:
    """Text of others reaches C through as_comment alone: nothing else opens a comment."""
    room = Path(program.__file__).parent
    found = []
    for path in [*room.glob("engines/native/*.py"), *room.glob("export/*.py")]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and "/*" in str(node.value):
                found.append(path.name)
    assert set(found) <= {"c_text.py"}, found
