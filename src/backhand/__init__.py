"""Backhand: neural networks whose every backward pass is written by hand, with autograd off."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from backhand.exports import *  # noqa: F403
    from backhand.exports import __all__ as __all__
else:
    # Loading torch takes a second; what needs nothing of it, as the command line's help, does not
    # wait, and the command line can say how torch's threads shall wait before it is loaded.
    def __getattr__(name: str) -> object:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        exports = import_module("backhand.exports")
        globals().update({each: getattr(exports, each) for each in ("__all__", *exports.__all__)})
        if name not in globals():  # neither an export, nor a room that was loaded with them
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
