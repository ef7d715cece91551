"""Export: a step as a file for where there is no Python."""

from backhand.program.export.c import CFiles, export_c

__all__ = ["CFiles", "export_c"]
