"""The learned ragtime player trains for two steps on toy rags, hears what comes back, and plays as torch does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import mutopia_rags
from contrafact.data.mutopia_rags import Rag, RagNote
from contrafact.data.rag_sheets import as_cover
from contrafact.errors import MissingError
from contrafact.players._pianist import Pianist
from contrafact.players._pianist import network as keyboard
from contrafact.players._pianist.echoes import ECHOES, WINDOW, echoes
from contrafact.players._pianist.features import BACK, FEATURES, FLOOR, NEAR, PER_BEAT, REL, RESTS, SHAPE, TONES
from contrafact.players._pianist.takes import Take
from contrafact.players.ragtime_neural import HEARD, _corpus, network
from contrafact.runtime import open_session
from contrafact.score import Note
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.listen_every=1", "start=''"]
TRIADS = ((48, 64, 67, 72), (53, 65, 69, 72), (55, 62, 67, 71), (48, 64, 67, 72))
TOP = ("x.xx.xx.", "xx.x.xx.", "x.x.x.x.", "x..xx.x.")


def rag(name: str = "joplin_toy", bars: int = 64) -> Rag:
    """Octaves on the beats and chords between; a line in four rhythms; all comes back after 16 bars of two."""
    right, left = [], []
    for bar in range(bars):
        low, *chord = TRIADS[bar % 4]
        for beat in (0, 1):
            left += [RagNote(2 * bar + beat, 0.5, low - 12 * octave, 90) for octave in (0, 1)]
            left += [RagNote(2 * bar + beat + 0.5, 0.5, p - 12, 90) for p in chord]
        steps = [i for i, struck in enumerate(TOP[bar // 4 % 4]) if struck == "x"]
        for number, step in enumerate(steps):
            pitch = chord[(number + bar % 16) % 3] + 12
            right += [RagNote(2 * bar + step / 4, 0.25, p, 90) for p in (pitch, pitch - 12)]
    return Rag(name, tuple(right), tuple(left), 0)


def toy_takes() -> list[Take]:
    found = list(_corpus.readings(rag()))
    return [replace(take, split="valid" if number == 7 else "train") for number, take in enumerate(found)]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Take]]:
    made = toy_takes()
    monkeypatch.setattr(_corpus, "takes", lambda split=None: (t for t in made if split in (None, t.split)))
    network.taken.cache_clear()
    yield made
    network.taken.cache_clear()


def trained(tmp_path: Path, *more: str) -> Path:
    recipe = load("ragtime", [*SMALL, *more])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    return tmp_path / "run"


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[Take], tmp_path: Path) -> None:
    run = trained(tmp_path)
    card = export.export(run, tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.inputs["looks"][1] == TONES + FEATURES + ECHOES
    torch_side = export.read_run(run).networks["piano"].eval()
    assert isinstance(torch_side, keyboard.Keyboard)
    export._round(torch_side)
    take = toy[7]
    made = keyboard.example(take, 0, len(take.course), 0, hears_echoes=True)
    notes = torch.from_numpy((made["velocities"] > 0).astype(np.float32))[None]
    with torch.no_grad():
        both = torch_side.both(torch.from_numpy(made["rows"])[None], torch.from_numpy(made["looks"])[None])
        pitches = torch_side.pitch_scores(both, notes)[0].numpy()
    pianist = Pianist(open_session(weights.locate("toy", tmp_path)), take.course, hears_echoes=True)
    for slot, row in enumerate(take.played.velocities[:-1]):
        played = np.flatnonzero(row)
        pitch, _ = pianist.scores(notes[0, slot].numpy() > 0)
        assert pitch == pytest.approx(pitches[slot], abs=1e-4)
        lengths = take.played.lengths[slot, played].astype(float).tolist()
        pianist.play((played + FLOOR).tolist(), row[played].tolist(), lengths)


def test_at_the_start_echoes_change_nothing(toy: list[Take]) -> None:
    """A network that starts from one that hears none guesses as that does."""
    plain = keyboard.Keyboard(16, keyboard.Training()).eval()
    hearing = keyboard.Keyboard(16, keyboard.Training(), hears_echoes=True).eval()
    hearing.load_state_dict({**hearing.state_dict(), **plain.state_dict()})
    short, whole = (keyboard.example(toy[0], 0, 200, 0, hears) for hears in (False, True))
    rows = torch.from_numpy(short["rows"])[None]
    alone, both = (torch.from_numpy(made["looks"])[None] for made in (short, whole))
    assert torch.equal(plain.both(rows, alone), hearing.both(rows, both))


def test_it_learns_from_what_comes_back(toy: list[Take], tmp_path: Path) -> None:
    more = ["loop.steps=60", "loop.ema_decay=0.0", "players.piano.learning_rate=0.02", "loop.listen_every=0"]
    run = trained(tmp_path, *more, "players.piano.warmup_steps=0")
    made = export.read_run(run).networks["piano"]
    assert isinstance(made, keyboard.Keyboard)
    assert made.echoes is not None
    assert made.echoes.weight.abs().max() > 0
    valid = network.taken("valid")
    before = keyboard.surprises(keyboard.Keyboard(16, keyboard.Training(), hears_echoes=True).eval(), valid)
    learned = keyboard.surprises(made, valid)
    assert learned["notes"] < 0.5 * before["notes"]
    with torch.no_grad():
        made.echoes.weight.zero_()
    assert keyboard.surprises(made, valid)["notes"] > learned["notes"]


def test_batches_follow_from_the_draws(toy: list[Take]) -> None:
    source = network.make_source(network.Config(), network.Data(beats=40))
    one, again, other = (source.batch(Draws(0, step), 4) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["looks"].shape == (4, 40 * PER_BEAT, TONES + FEATURES + ECHOES)


def test_echoes() -> None:
    """Beside a slow version, slot by slot, and the same in a stretch as in the whole."""
    take = toy_takes()[2]
    frame, along = np.array(take.course.roots), take.course
    frame = keyboard.frame_of(along.roots)
    whole = echoes(take.played, along, frame, np.arange(len(along)))
    assert whole.shape == (len(along), ECHOES)
    assert (echoes(take.played, along, frame, np.arange(150, 190)) == whole[150:190]).all()

    def keys(slot: int) -> set[int]:
        return {int(c) + FLOOR - int(frame[slot]) for c in np.flatnonzero(take.played.velocities[slot])}

    for slot in (0, 3, 40, 200, 300, len(along) - 1):
        slow: list[float] = []
        for number, bars in enumerate(BACK):
            away = 16 * bars
            if number >= NEAR:
                there = keys(slot - away) if slot >= away else set()
                slow += [float(place in there) for place in range(REL)]
            before = [t for t in range(slot - WINDOW, slot) if t >= away]
            around = [t for t in range(slot - WINDOW, slot + WINDOW) if away <= t < len(along)]
            slow.append(sum(max(keys(t), default=-1) == max(keys(t - away), default=-1) for t in before) / WINDOW)
            slow.append(sum(keys(t) == keys(t - away) for t in before) / WINDOW)
            tune = along.melody.pitches
            slow.append(sum(tune[t] == tune[t - away] for t in around) / WINDOW / 2)
        assert whole[slot] == pytest.approx(slow, abs=1e-6)
    assert whole[300, -2] == 1.0, "all comes back after eight bars of four"


# The corpus


def test_a_reading_holds_the_whole_rag() -> None:
    """Each note is in the tune or is played; the tune is at most what is highest, and plainer."""
    _, score = as_cover(rag())
    counts = []
    for take in _corpus.readings(rag()):
        assert take.lost == 0
        assert take.sheet.key == "C:maj"
        assert 65 <= take.sheet.tempo_bpm <= 125
        assert (take.course.rows[:, SHAPE[0]] > 0).all()
        assert not take.course.rows[:, SHAPE[1]].any()
        table = take.played.velocities[:-1]
        assert set(np.unique(table)) == {0, HEARD}
        tune = {round(PER_BEAT * float(take.sheet.grid.beat_at(n.onset_s))): n.pitch for n in take.sheet.melody}
        top = {round(PER_BEAT * n.onset_s): n.pitch for n in score.parts[0].notes}
        assert tune.items() <= top.items()
        for slot, pitch in top.items():
            if slot < len(table):
                assert (slot in tune) != bool(table[slot, pitch - FLOOR])
        counts.append(len(tune) / len(top))
    assert len(counts) == _corpus.READINGS
    assert min(counts) < 0.5
    assert len(set(counts)) > 4


def test_tunes_come_back_with_the_rag() -> None:
    _, score = as_cover(rag())
    tune, _ = _corpus.plainer(*(p.notes for p in score.parts), np.random.default_rng(3))
    onsets = {round(4 * n.onset_s) for n in tune}
    assert {t + 4 * _corpus.PERIOD for t in onsets if t < 4 * _corpus.PERIOD} == {
        t for t in onsets if 4 * _corpus.PERIOD <= t < 8 * _corpus.PERIOD
    }


def test_a_tunes_notes_last_until_something_is_struck_above_them() -> None:
    tune = [Note(0, 0.25, 72, 90), Note(3, 0.25, 74, 90)]
    others = [Note(0.5, 0.25, 69, 90), Note(1, 0.25, 72, 90), Note(5, 0.25, 73, 90)]
    found = _corpus._sustained(tune, np.array([8.0, 8.0]), others)
    assert [n.duration_s for n in found] == [1.0, 5.0]


def test_what_is_high_long_and_on_the_beat_is_kept_first() -> None:
    onsets = np.array([0.0, 1.5, 2.0, 2.25, 4.0])
    worth = _corpus._worth(onsets, np.array([70, 70, 70, 76, 64]))
    assert worth[0] > worth[1], "on the beat, and longer"
    assert worth[3] > worth[2], "higher and longer"
    assert worth[4] > worth[2], "alone"


def test_rags_in_four_are_told_in_two() -> None:
    plain = rag()
    slow = Rag(
        plain.name,
        *(
            tuple(replace(n, onset=2 * n.onset, length=2 * n.length) for n in hand)
            for hand in (plain.right, plain.left)
        ),
        0,
    )
    assert _corpus.in_two(slow) == plain
    assert _corpus.in_two(plain) == plain


def test_the_rags_themselves() -> None:
    try:
        names = mutopia_rags.names()
    except MissingError as missing:
        pytest.skip(str(missing))
    assert _corpus.in_two(mutopia_rags.read("joplin_magnetic")) != mutopia_rags.read("joplin_magnetic")
    take = next(_corpus.readings(_corpus.in_two(mutopia_rags.read(names[3]))))
    assert take.lost < 0.05 * int((take.played.velocities > 0).sum())
    assert 0.3 < (take.course.melody.pitches != RESTS).mean() < 1
