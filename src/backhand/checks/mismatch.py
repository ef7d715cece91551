"""GradientMismatch: what every check of a backward raises."""


class GradientMismatch(AssertionError):
    """A layer or loss is not what its contract says; the message names what, and where."""
