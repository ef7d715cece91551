"""Layers and rules as users write them, with all the kinds of attributes that a step may read."""

from __future__ import annotations

import numpy
import torch

import backhand as bh


class Settled(bh.Layer):
    """output = input · factor + shift, both from attributes of every kind."""

    def __init__(self) -> None:
        self.factor = 0.9
        self.options = {"shift": 0.1, "more": [0.01, {"deep": 0.02}]}
        self.nested = [[0.03], (0.04, 0.05)]
        self.array = numpy.array([0.06, 0.07])

    def settings(self):
        return {}

    def forward(self, input, training):
        more, deep = self.options["more"]
        shift = self.options["shift"] + more + deep["deep"] + self.nested[0][0] + self.nested[1][1]
        return input * self.factor + (shift + float(self.array[1])), self.factor

    def propagate(self, error, factor, learning_rate):
        return error * factor


class Centred(bh.Layer):
    """output = input - the running mean of what came before, and a count of the batches."""

    def __init__(self, features: int) -> None:
        self.features = features
        self.share = 0.2
        self.mean = bh.Buffer(torch.zeros(features))
        self.batches = bh.Buffer(torch.zeros((), dtype=torch.int64))

    def forward(self, input, training):
        return input - self.mean.value, input

    def propagate(self, error, input, learning_rate):
        self.mean.follow(input.reshape(-1, self.features).mean(0), self.share)
        self.batches.become(self.batches.value + 1)
        return error


class Turned(bh.Layer):
    """output = input, laid out with its features first: not contiguous."""

    def forward(self, input, training):
        return (input.transpose(0, -1).contiguous() * 1).transpose(0, -1), None

    def propagate(self, error, memory, learning_rate):
        return error


class Slowly(bh.UpdateRule):
    """value ← value - learning_rate · pace · (gradient + options["pull"] · value)."""

    def __init__(self, pace: float = 0.5) -> None:
        self.pace = pace
        self.options = {"pull": 0.01}

    def __repr__(self) -> str:
        return f"Slowly({self.pace}, {self.options})"

    def state(self, value):
        return {"sum": torch.zeros_like(value)}

    def update(self, parameter, gradient, learning_rate):
        pull = parameter.value * self.options["pull"]
        total = parameter.state["sum"].add_(gradient + pull)
        parameter.value.sub_(total, alpha=learning_rate * self.pace / parameter.updates)
