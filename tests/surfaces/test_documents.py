"""What the documents say is so: the results page is what the results make it, the README's options exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_results_page_is_made_from_the_results():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import results_page
    finally:
        sys.path.pop(0)
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == results_page.page()


@pytest.mark.parametrize("verb", ["cover", "transcribe", "leadsheet", "arrange", "render", "evaluate"])
def test_every_option_in_the_readme_exists(verb):
    command = [sys.executable, "-m", "contrafact", verb, "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"}).stdout
    usage = re.search(rf"contrafact {verb} (.*?)(?=contrafact|```)", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert usage
    options = re.findall(r"--?[a-z]+", usage[1])
    assert all(option in told for option in options if not option.startswith("---"))


def test_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
