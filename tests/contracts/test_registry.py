"""Every entry of every family can be listed, read and built from its defaults, and is documented."""

import dataclasses
import inspect
import subprocess
import sys

import pytest

from contrafact.errors import SettingsError
from contrafact.registry import FAMILIES, Card

ENTRIES = [(family, name) for family, registry in FAMILIES.items() for name in registry.names()]


def test_every_family_has_entries():
    assert {family for family, _ in ENTRIES} == set(FAMILIES)


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_an_entry_holds_card_config_and_build(family, name):
    module = FAMILIES[family].module(name)
    card = FAMILIES[family].card(name)
    assert isinstance(card, Card)
    assert all(getattr(card, field.name).strip() for field in dataclasses.fields(Card))
    assert dataclasses.is_dataclass(module.Config)
    assert module.Config.__dataclass_params__.frozen
    assert module.__doc__
    assert inspect.getdoc(module.Config)
    assert callable(FAMILIES[family].build(name))


@pytest.mark.parametrize(("family", "name"), ENTRIES)
def test_an_unknown_setting_is_refused(family, name):
    with pytest.raises(SettingsError):
        FAMILIES[family].build(name, no_such_setting=1)


def test_a_near_miss_is_corrected():
    with pytest.raises(SettingsError, match="'walking_bass'"):
        FAMILIES["players"].module("walking_bas")


def test_all_cards_are_read_without_training_or_heavy_packages():
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'librosa', 'matplotlib', 'music21', 'sklearn', 'numba'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from contrafact.registry import FAMILIES\n"
        "for registry in FAMILIES.values():\n"
        "    for name in registry.names():\n"
        "        registry.card(name)\n"
        "print('read')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "read\n", done.stderr
