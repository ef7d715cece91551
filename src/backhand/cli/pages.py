"""Pages: HTML that holds its pictures, and opens without a network connection."""

from __future__ import annotations

import base64
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import torch

import backhand


def page(template: str, pictures: Mapping[str, Path], **values: Any) -> str:
    """A template of `templates/` filled in; it also knows images, versions and threads."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backhand.cli"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    images = {
        name.removesuffix(".png"): base64.b64encode(path.read_bytes()).decode()
        for name, path in pictures.items()
    }
    versions = (
        f"Backhand {backhand.__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    threads = torch.get_num_threads()
    return environment.get_template(template).render(
        images=images, versions=versions, threads=threads, **values
    )


def command() -> str:
    """The command line that is running, as a person would type it."""
    return shlex.join(["backhand", *sys.argv[1:]])
