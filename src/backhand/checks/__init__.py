"""The gradient checker."""

from typing import Any


def gradient_check(*a: Any, **k: Any) -> Any: ...


class GradientMismatch(AssertionError): ...
