"""The mathematics of a time step: plain, long short-term memory, gated recurrent unit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backhand.layers.recurrent.recurrence import Recurrence, States


class PlainRecurrence(Recurrence):
    """h ← tanh(W_ih x + b_ih + W_hh h + b_hh), one layer in one direction; see RNN.

    Elman, "Finding Structure in Time" (1990).
    Backward, from a step's new state: a = error · (1 - h²) is the error of both projections, and
    a · W_hh that of the state before.
    Shapes: see Recurrence; weight_ih (hidden_size, input_size), weight_hh (hidden_size,
    hidden_size), biases (hidden_size,).
    """

    gates = 1
    state_names = ("h",)

    def advance(self, projected: Tensor, states: States) -> tuple[States, States]:
        (h,) = states
        new = torch.tanh(torch.addmm(projected, h, self.weight_hh.transposed))
        return (new,), (new,)

    def slopes(self, before: Sequence[Tensor], traces: Sequence[Tensor]) -> States:
        (new,) = traces
        return (1 - new * new,)

    def retreat(self, errors: States, slopes: States) -> tuple[Tensor, None, States]:
        error = errors[0] * slopes[0]
        return error, None, (torch.mm(error, self.weight_hh.value),)


class RectifiedRecurrence(PlainRecurrence):
    """h ← max(0, W_ih x + b_ih + W_hh h + b_hh); the rest as PlainRecurrence.

    Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"
    (2015).
    """

    def advance(self, projected: Tensor, states: States) -> tuple[States, States]:
        (h,) = states
        new = torch.relu(torch.addmm(projected, h, self.weight_hh.transposed))
        return (new,), (new,)

    def slopes(self, before: Sequence[Tensor], traces: Sequence[Tensor]) -> States:
        return (traces[0].sign(),)


class LongShortTermMemory(Recurrence):
    """One layer of an LSTM in one direction; see LSTM.

    (i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh, through σ, σ, tanh and σ;
    c ← f c + i g;  h ← o tanh(c). Hochreiter & Schmidhuber (1997); Gers et al. (2000), with the
    forget gate f, whose bias begins at 1 (Jozefowicz et al. 2015).
    Backward: c error += h error · o (1 - tanh² c); the gates' errors before σ and tanh are
    c error · (g i (1 - i), c f (1 - f), i (1 - g²)) and h error · tanh(c) o (1 - o), with c from
    before the step; the state errors before are (gates' errors · W_hh, c error · f).
    Shapes: see Recurrence; weight_ih (4 hidden_size, input_size), weight_hh (4 hidden_size,
    hidden_size), biases (4 hidden_size,).
    """

    gates = 4
    state_names = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        reverse: bool = False,
        truncation: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, reverse, truncation)
        if self.bias_ih is not None:
            self.bias_ih.value[hidden_size : 2 * hidden_size] = 1

    def advance(self, projected: Tensor, states: States) -> tuple[States, States]:
        h, c = states
        sums = torch.addmm(projected, h, self.weight_hh.transposed)
        opened = torch.sigmoid(sums)
        i, f, _, o = opened.chunk(4, 1)
        g = torch.tanh(sums.chunk(4, 1)[2])
        cell = torch.addcmul(f * c, i, g)
        shown = torch.tanh(cell)
        return (o * shown, cell), (opened, g, shown)

    def slopes(self, before: Sequence[Tensor], traces: Sequence[Tensor]) -> States:
        opened, g, shown = traces
        i, f, _, o = opened.chunk(4, 2)
        slope = opened * (1 - opened)
        i_slope, f_slope, _, o_slope = slope.chunk(4, 2)
        by_cell = [g * i_slope, before[1] * f_slope, i * (1 - g * g)]
        return torch.cat([*by_cell, shown * o_slope], 2), o * (1 - shown * shown), f

    def retreat(self, errors: States, slopes: States) -> tuple[Tensor, None, States]:
        h_error, c_error = errors
        of_gates, of_shown, f = slopes
        c_error = torch.addcmul(c_error, h_error, of_shown)
        error = torch.cat([c_error, c_error, c_error, h_error], 1) * of_gates
        return error, None, (torch.mm(error, self.weight_hh.value), c_error * f)


class GatedRecurrence(Recurrence):
    """One layer of gated recurrent units in one direction; see GRU.

    (r, z) = σ(W_ih x + b_ih + W_hh h + b_hh);  n = tanh(W_in x + b_in + r (W_hn h + b_hn));
    h ← (1 - z) n + z h. Cho et al. (2014), with r inside the tangent after the product, as cuDNN
    and PyTorch have it.
    Backward: n error = h error · (1 - z)(1 - n²) before the tangent; z error = h error · (h - n)
    z (1 - z) with h from before; r error = n error · (W_hn h + b_hn) r (1 - r); the hidden
    projection's part of n gets n error · r; the state error before is h error · z + the hidden
    projection's errors · W_hh.
    Shapes: see Recurrence; weight_ih (3 hidden_size, input_size) in the order r, z, n, weight_hh
    (3 hidden_size, hidden_size), biases (3 hidden_size,).
    """

    gates = 3
    state_names = ("h",)

    def projection_bias(self) -> Tensor | None:
        return None if self.bias_ih is None else self.bias_ih.value

    def advance(self, projected: Tensor, states: States) -> tuple[States, States]:
        (h,) = states
        weight, width = self.weight_hh.transposed, 2 * self.hidden_size
        bias = self.bias_hh
        hidden = torch.mm(h, weight) if bias is None else torch.addmm(bias.value, h, weight)
        opened = torch.sigmoid(projected[:, :width] + hidden[:, :width])
        r, z = opened.chunk(2, 1)
        inner = hidden[:, width:]
        n = torch.tanh(torch.addcmul(projected[:, width:], r, inner))
        return (torch.lerp(n, h, z),), (opened, n, inner)

    def slopes(self, before: Sequence[Tensor], traces: Sequence[Tensor]) -> States:
        opened, n, inner = traces
        r, z = opened.chunk(2, 2)
        r_slope, z_slope = (opened * (1 - opened)).chunk(2, 2)
        of_gates = torch.cat([inner * r_slope, (before[0] - n) * z_slope, r], 2)
        return of_gates, (1 - z) * (1 - n * n), z

    def retreat(self, errors: States, slopes: States) -> tuple[Tensor, Tensor, States]:
        (error,) = errors
        of_gates, of_n, z = slopes
        n_error = error * of_n
        hidden = torch.cat([n_error, error, n_error], 1) * of_gates
        inward = torch.cat([hidden[:, : 2 * self.hidden_size], n_error], 1)
        return hidden, inward, (torch.addmm(error * z, hidden, self.weight_hh.value),)
