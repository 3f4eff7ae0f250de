"""What the documents say is so: the results page is what the results make it, the README's options exist."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from contrafact import weights
from contrafact.cli import cover
from contrafact.registry import FAMILIES

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


SHAPES = ("width", "channels", "layers", "depth", "blocks", "critic_width", "carry")
CARDS = [  # figures of a card, and where the results have them
    ("leadsheet", "44 plain songs, reader mixed", "leadsheet-mixed", ["mean"]),
    ("leadsheet", "44 hard songs, reader mixed", "leadsheet-hard-mixed", ["mean"]),
    ("leadsheet", "real singers, reader mixed", "vocals", ["mixed"]),
    ("leadsheet_wide", "44 plain songs", "leadsheet-neural", ["mean"]),
    ("leadsheet_wide", "44 hard songs", "leadsheet-hard-neural", ["mean"]),
    ("leadsheet_wide", "real singers", "vocals", ["neural"]),
    ("vocos", "32 real songs", "vocoder", ["rows", "vocos"]),
    ("vocos", "griffin_lim, 60 rounds", "vocoder", ["rows", "griffin_lim, 60 rounds"]),
]


@pytest.mark.parametrize(("weights", "row", "results", "place"), CARDS)
def test_cards_tell_what_the_results_tell(weights, row, results, place):
    card = json.loads((ROOT / "src" / "contrafact" / "weights" / f"{weights}.json").read_text("utf-8"))
    figures = json.loads((ROOT / "benchmarks" / "results" / f"{results}.json").read_text("utf-8"))
    for key in place:
        figures = figures[key]
    renamed = {"melody_rca": "rca"} if results == "vocals" else {}
    told = {renamed.get(name, name): value for name, value in card["metrics"][row].items()}
    assert told
    for name, value in told.items():
        assert value == pytest.approx(figures[name], abs=6e-4), name


def test_the_card_of_deep_griffin_lim_tells_what_the_results_tell():
    card = json.loads((ROOT / "src" / "contrafact" / "weights" / "deep_griffin_lim.json").read_text("utf-8"))
    rows = json.loads((ROOT / "benchmarks" / "results" / "phase_recovery.json").read_text("utf-8"))["rows"]
    found = {
        f"{row['rounds']} rounds, window {row['window_samples']}, 32 real songs": {
            "convergence_db": round(row["deep_db"], 2),
            "griffin_lim_db": round(row["fast_db"], 2),
            "better_on_songs": row["better_on_songs"],
            "griffin_lim_db_in_equal_time": round(row["equal_time_db"], 2),
        }
        for row in rows
    }
    assert found
    assert {name: value for name, value in card["metrics"].items() if name != "command"} == found


@pytest.mark.parametrize("name", weights.names())
def test_cards_tell_the_settings_that_come_with_the_weights(name):
    card = weights.card(name)
    family, _, method = card.method.partition("/")
    played = json.loads(json.dumps(asdict(FAMILIES[family].module(method).Config())))
    if card.config["weights"] != played["weights"] or name == "cyclegan":  # made smaller than the method's default
        played = {key: value for key, value in played.items() if key not in SHAPES} | {"weights": name}
        played = {key: value for key, value in played.items() if key in card.config}
    assert {key: card.config[key] for key in played} == played
