"""Every Python block of the README and the docs runs, in order, page by page; commands too."""

from __future__ import annotations

import re
import runpy
import shlex
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
    for match in re.finditer(r"^```(python|sh)\n(.*?)^```", text, re.M | re.S):
        if match[1] == "python":
            line = text[: match.start(2)].count("\n")
            exec(compile("\n" * line + match[2], str(page), "exec"), names)
        elif page.name == "command-line.md":
            run_commands(match[2], monkeypatch)
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
