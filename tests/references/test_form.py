"""The form of songs made here bar by bar, whose sections are known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import mir_eval
import numpy as np
import pytest
from numpy.typing import NDArray

from contrafact.leadsheet import Section
from contrafact.leadsheets._parts import beatwise, features, sections

BAR_S = 2.0
Rows = NDArray[np.float64]
Form = Sequence[tuple[str, int]]


def material(form: Form, seed: int, loop: int, colours: int, noise: float) -> tuple[Rows, Rows]:
    """Chroma (half bars, 12) and timbre (bars, 12) of a form: each letter has a loop of bars and its band a colour."""
    rng = np.random.default_rng(seed)
    letters = sorted({letter for letter, _ in form})
    loops = {x: (rng.random((2 * loop, 12)) < 0.3) + 0.05 * rng.random((2 * loop, 12)) for x in letters}
    palette = rng.random((colours, 12))
    worn = {x: palette[i % colours] for i, x in enumerate(letters)}
    chroma = np.concatenate([np.tile(loops[x], (-(-bars // loop), 1))[: 2 * bars] for x, bars in form])
    timbre = np.concatenate([np.tile(worn[x], (bars, 1)) for x, bars in form])
    return chroma + noise * rng.random(chroma.shape), timbre + noise * rng.normal(size=timbre.shape)


def found(chroma: Rows, timbre: Rows, pickup_s: float = 0.5) -> tuple[Section, ...]:
    """The sections of such a song, which begins a little before its first bar line."""
    per_half = round(BAR_S / 2 * features.FRAME_RATE)
    bar_s = 2 * per_half / features.FRAME_RATE
    lead = round(pickup_s * features.FRAME_RATE)
    frames = [
        np.pad(np.repeat(x, n, axis=0), ((lead, 0), (0, 0))) for x, n in ((chroma, per_half), (timbre, 2 * per_half))
    ]
    nothing = np.zeros(len(frames[0]), np.float32)
    end_s = len(nothing) / features.FRAME_RATE
    silent = np.zeros((len(nothing), 88), np.float32)
    song = features.Features(end_s, nothing, nothing, nothing, nothing, silent, silent, frames[1].astype(np.float32))
    sums = beatwise.Chromas(beatwise.running(frames[0]), beatwise.running(0 * frames[0]))
    bars_s = lead / features.FRAME_RATE + np.arange(len(timbre)) * bar_s
    return sections.find_sections(song, sums, bars_s)


def scores(form: Form, sheet: Sequence[Section]) -> tuple[float, float]:
    """Boundary F-measure within half a second, and pairwise F-measure of the letters."""
    bar_s = 2 * round(BAR_S / 2 * features.FRAME_RATE) / features.FRAME_RATE
    edges = [0.0, *(0.5 + bar_s * n for n in accumulate(bars for _, bars in form))]
    edges[-1] = sheet[-1].end_s
    truth = np.array(list(pairwise(edges)))
    guess = np.array([(s.start_s, s.end_s) for s in sheet])
    _, _, edge_f = mir_eval.segment.detection(truth, guess, window=0.5, trim=True)
    _, _, letter_f = mir_eval.segment.pairwise(truth, [x for x, _ in form], guess, [s.label for s in sheet])
    return float(edge_f), float(letter_f)


VERSE_CHORUS = (("i", 4), ("A", 16), ("B", 8), ("A", 16), ("B", 8), ("C", 8), ("B", 16), ("o", 4))
OWN_LENGTHS = (("A", 12), ("B", 10), ("A", 12), ("B", 10), ("C", 8), ("B", 10))


@pytest.mark.parametrize("form", [VERSE_CHORUS, OWN_LENGTHS])
@pytest.mark.parametrize("loop", [4, 8])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_form_of_many_songs(form: Form, loop: int, colours: int) -> None:
    results = [scores(form, found(*material(form, seed, loop, colours, noise=0.2))) for seed in range(8)]
    edge_f, letter_f = np.mean(results, axis=0)
    assert edge_f > 0.8
    assert letter_f > 0.85


def test_the_letters_of_a_song() -> None:
    sheet = found(*material(VERSE_CHORUS, 0, loop=4, colours=3, noise=0.1))
    assert [s.label for s in sheet] == ["A", "B", "C", "B", "C", "D", "C", "E"]


@pytest.mark.parametrize("seed", range(4))
def test_a_loop_is_not_cut_small(seed: int) -> None:
    sheet = found(*material((("A", 64),), seed, loop=4, colours=1, noise=0.1))
    assert len({s.label for s in sheet}) == 1
    assert len(sheet) < 8


@pytest.mark.parametrize("colours", [1, 3])
def test_parts_that_never_return_are_told_by_their_contrast(colours: int) -> None:
    form = (("A", 8), ("B", 8), ("C", 8), ("D", 8))
    results = [scores(form, found(*material(form, seed, 4, colours, noise=0.2))) for seed in range(8)]
    edge_f, letter_f = np.mean(results, axis=0)
    assert edge_f > 0.8
    assert letter_f > 0.85


def test_a_clear_form_is_surer_than_a_blurred_one() -> None:
    clear, blurred = (found(*material(VERSE_CHORUS, 0, 4, 3, noise))[0].confidence for noise in (0.1, 0.4))
    assert clear > blurred + 0.1


def test_what_is_cut_once_is_cut_when_it_returns() -> None:
    likeness = np.full((64, 64), 0.1)
    for lag in (0, 32):  # the second half repeats the first, bar by bar
        likeness[np.arange(64 - lag), np.arange(lag, 64)] = likeness[np.arange(lag, 64), np.arange(64 - lag)] = 1
    novelty = np.zeros(65)
    novelty[11] = 1.0
    shared = sections.shared(novelty, likeness)
    assert set(np.argsort(shared)[-2:]) == {11, 43}


def test_returns_are_worth_their_length_where_they_fit() -> None:
    likeness = np.full((40, 40), 0.1)
    i = np.arange(8)
    likeness[20 + i, 4 + i] = likeness[4 + i, 20 + i] = 1
    gain = sections.returns(sections.diagonal_sums(likeness), [0, 4, 12, 40], 0.4)
    assert gain[20, 8] == pytest.approx(8 * 0.6)
    assert gain.argmax() == np.ravel_multi_index((20, 8), gain.shape)
    assert gain[4, 8] == 0, "a section is no return of itself"


def test_equal_neighbours_are_one_section_up_to_16_bars() -> None:
    assert sections.joined([0, 8, 16, 24, 28, 32], ["A", "A", "A", "B", "B"]) == ([0, 16, 24, 32], ["A", "A", "B"])
