"""Export: a step as a file for where there is no Python."""

from backhand.program.export.c import export_c
from backhand.program.export.c_files import CFiles

__all__ = ["CFiles", "export_c"]
