"""Every judge tells what musicians played apart, phrase by phrase, and refuses what is no phrase."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.data import phrases
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.registry import JUDGES
from contrafact.theory.phrases import PITCHES, STEPS, outer_voices

NAMES = JUDGES.names()


@pytest.mark.parametrize("name", NAMES)
def test_one_probability_a_phrase_whatever_stands_beside_it(name: str) -> None:
    judge = JUDGES.build(name)
    rolls = np.random.default_rng(0).random((5, STEPS, PITCHES)) < 0.05
    found = judge(rolls)
    assert found.shape == (5,)
    assert ((found >= 0) & (found <= 1)).all()
    assert judge(rolls[3:4])[0] == pytest.approx(found[3], abs=1e-5)
    assert judge(rolls[:0]).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_phrase_is_refused(name: str) -> None:
    with pytest.raises(InputError) as error:
        JUDGES.build(name)(np.zeros((2, STEPS, 88), dtype=bool))
    assert error.value.code == "JUDGE_INPUT"
    with pytest.raises(SettingsError):
        JUDGES.build(name, weights="no_such_weights")


@pytest.mark.parametrize("name", NAMES)
def test_held_out_recordings_are_told_apart(name: str) -> None:
    try:
        rolls = {side: phrases.some(collection, "valid", 60) for side, collection in LINES.items()}
    except MissingError as missing:
        pytest.skip(str(missing))
    judge = JUDGES.build(name)
    assert (judge(rolls["jazz"]) > 0.5).mean() > 0.9
    assert (judge(rolls["pop"]) < 0.5).mean() > 0.9


LINES: dict[str, phrases.Collection] = {"jazz": "jazz_lines", "pop": "pop_lines"}


def test_inner_voices_do_not_count() -> None:
    judge = JUDGES.build("genre")
    outer = outer_voices(np.random.default_rng(1).random((4, STEPS, PITCHES)) < 0.05)
    filled = outer | (
        np.cumsum(outer, axis=-1).astype(bool) & np.cumsum(outer[..., ::-1], axis=-1)[..., ::-1].astype(bool)
    )
    assert filled.sum() > outer.sum()
    assert judge(filled) == pytest.approx(judge(outer))
