"""Every Python block of the README and the docs runs, in order, page by page; commands too."""

from __future__ import annotations

import re
import runpy
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from backhand.cli import main

pytestmark = pytest.mark.usefixtures("unchecked")

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_on_a_page_runs(page, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    names: dict[str, object] = {}
    for match in re.finditer(r"^```(python|sh)(?: (\w+))?\n(.*?)^```", text, re.M | re.S):
        language, needed, block = match.groups()
        if language == "python":
            line = text[: match.start(3)].count("\n")
            code = compile("\n" * line + block, str(page), "exec")
            if needed is None:
                exec(code, names)
            elif find_spec(needed) is not None:  # another library's own code, beside ours
                exec(code, {})
        elif page.name == "command-line.md":
            run_commands(block, monkeypatch)
    capsys.readouterr()


def run_commands(lines: str, monkeypatch) -> None:
    for line in lines.splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "backhand":
            monkeypatch.setattr("sys.argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code, line


def test_links_and_pictures_are_there() -> None:
    for page in PAGES:
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_listing_is_what_its_script_writes() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "listing.py"))["page"]()
    assert (ROOT / "docs" / "layers.md").read_text() == made, "python docs/listing.py"
