"""What a layer expects, and the error it raises where it is given something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from backhand.arguments import shown
from backhand.values import misfit, settled

if TYPE_CHECKING:
    from backhand.layer import Layer


class LayerError(ValueError):
    """A layer was given what it cannot take; the message begins with its path in the network."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: list[str] = []

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{'.'.join(self.path)}: {message}" if self.path else message


class LayerExpectations:
    """Checks of an input, for authors of layers; no tensor is read for them."""

    def settled_input(self, input: Any) -> Any:
        """The input as `forward` takes it: without autograd's history, contiguous and aligned.

        Raises:
            LayerError: it is neither a dense tensor nor a tuple of such.
        """
        try:
            return settled(input)
        except (AttributeError, RuntimeError):  # looked into where it fails: calls are many
            self.expect_value(input, "an input")
            raise

    def expect_value(self, value: Any, name: str) -> None:
        """Refuse what is neither a dense tensor nor a tuple of such."""
        found = misfit(value)
        if found is not None:
            raise LayerError(
                f"{shown(self)} expected {name} of a dense tensor or a tuple of such, got {found}"
            )

    def expect_tensor(self, input: Any, floats: bool = True) -> None:
        """Refuse an input that is not one tensor, dense, and of floats where they are wanted."""
        if not isinstance(input, Tensor):
            raise LayerError(f"{self!r} expected one tensor, got a {type(input).__name__}")
        if input.layout is not torch.strided:
            raise LayerError(f"{self!r} expected a dense tensor, got one of {input.layout}")
        if floats and not input.is_floating_point():
            raise LayerError(f"{self!r} expected a tensor of floats, got {input.dtype}")

    def expect_like(self, input: Tensor, like: Tensor) -> None:
        """Refuse an input that is of another dtype or on another device than `like`."""
        if input.dtype is not like.dtype:
            raise LayerError(f"{self!r} expected input of {like.dtype}, got {input.dtype}")
        self.expect_beside(input, like)

    def expect_beside(self, input: Tensor, like: Tensor) -> None:
        """Refuse an input that is on another device than `like`."""
        if input.device != like.device:
            raise LayerError(f"{self!r} expected input on {like.device}, got {input.device}")

    def expect_features(self, input: Tensor, features: int, like: Tensor) -> None:
        """Refuse an input whose last axis is not `features` long, or that is not as `like` is."""
        self.expect_tensor(input, floats=False)
        if input.shape[-1:] != (features,):
            raise LayerError(
                f"{self!r} expected input (batch, {features}), got {tuple(input.shape)}"
            )
        self.expect_like(input, like)


def placed(problem: Exception, name: str, child: Layer) -> Exception:
    """Write on a child's exception, as it passes its container, which child raised it."""
    if isinstance(problem, LayerError):
        problem.path.insert(0, name)
    else:
        problem.add_note(f"in layer {name}: {child!r}")
    return problem
