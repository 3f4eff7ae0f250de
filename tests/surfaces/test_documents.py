"""What the documents say is so: the results page is what the results make it, the README's options exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from contrafact.cli import cover

ROOT = Path(__file__).resolve().parents[2]


def test_the_results_page_is_made_from_the_results():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import results_page
    finally:
        sys.path.pop(0)
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == results_page.page()


def usage(verb: str) -> str:
    """How the README says that a verb is typed."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(rf"contrafact {verb} (.*?)(?=contrafact|```)", text, re.DOTALL)
    assert found
    return found[1]


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))


@pytest.mark.parametrize("verb", ["cover", "transcribe", "leadsheet", "arrange", "render", "evaluate"])
def test_every_option_in_the_readme_exists(verb):
    command = [sys.executable, "-m", "contrafact", verb, "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"})
    assert options_in(usage(verb)) <= options_in(told.stdout)


def test_every_value_that_an_option_of_cover_may_take_is_in_the_readme():
    kinds = get_type_hints(cover)
    choices = {f"--{name}": set(get_args(kind)) for name, kind in kinds.items() if get_origin(kind) is Literal}
    told = {option: set(values.split("|")) for option, values in re.findall(r"(--[a-z]+) ([\w|-]+)", usage("cover"))}
    assert {option: told.get(option) for option in choices} == choices
    assert set(choices) == {"--format", "--reader"}


def test_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
