"""The pop pianist trains for two steps on toy songs, and what it exports plays as torch does, slot by slot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import pop909
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.leadsheet import Chord
from contrafact.players._pianist import Pianist
from contrafact.players._pianist import network as keyboard
from contrafact.players._pianist.features import (
    FEATURES,
    FLOOR,
    HEIGHT,
    HIGHEST,
    LENGTHS,
    LOWEST,
    PER_BEAT,
    REL,
    RESTS,
    ROOT,
    SHAPE,
    STOP,
    TONES,
    TOUCH,
    Played,
    frame_of,
    height_class,
    look_back,
)
from contrafact.players._pianist.takes import Take, laid
from contrafact.players.pop_piano import Config, _corpus, network
from contrafact.runtime import open_session
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load, settings

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false", "loop.listen_every=1"]
TRIADS = {"C:maj": (48, 52, 55), "A:min": (45, 48, 52), "F:maj": (41, 45, 48), "G:maj": (43, 47, 50)}


def song(name: str, bars: int = 12, up: int = 0) -> pop909.Song:
    """Roots on one and three, broken triads an octave above on the eighths between; a melody of half notes."""
    piano, melody = [], []
    for bar in range(bars):
        low, *upper = TRIADS[list(TRIADS)[bar % 4]]
        for eighth in range(8):
            pitch = low if eighth % 4 == 0 else 12 + (low, *upper)[eighth % 3]
            piano.append(Note((4 * bar + eighth / 2) * 0.5, 0.24, pitch + up, 90 if eighth % 4 == 0 else 60))
        melody += [Note((4 * bar + at) * 0.5, 0.9, 72 + bar % 3 + up, 90) for at in (0, 2)]
    grid = BeatGrid(np.arange(4 * bars) * 0.5, np.arange(0, 4 * bars, 4), 4)
    chords = tuple(Chord(2.0 * i, 2.0 * i + 2, list(TRIADS)[i % 4]) for i in range(bars))
    parts = (Part("melody", 0, tuple(melody)), Part("piano", 0, tuple(piano)))
    return pop909.Song(name, Score(parts, grid), "4/4", True, chords, (pop909.KeySpan(0, 2.0 * bars, "C:maj"),))


TEST, VALID = "003", next(n for n in map("{:03}".format, range(1, 200)) if pop909.split(n) == "valid")


def toy_takes() -> list[Take]:
    made = [song("001"), song("002", 20), song(VALID, 16)]
    return [take for s in made if (take := _corpus.take(s)) is not None]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Take]]:
    made = toy_takes()
    monkeypatch.setattr(_corpus, "takes", lambda split=None: (t for t in made if split in (None, t.split)))
    network.taken.cache_clear()
    yield made
    network.taken.cache_clear()


def trained(tmp_path: Path, *more: str) -> Path:
    recipe = load("pop_piano", [*SMALL, *more])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    return tmp_path / "run"


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[Take], tmp_path: Path) -> None:
    run = trained(tmp_path)
    card = export.export(run, tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16

    torch_side = export.read_run(run).networks["piano"].eval()
    assert isinstance(torch_side, keyboard.Keyboard)
    export._round(torch_side)
    take = toy[2]
    made = keyboard.example(take, 0, len(take.course), 0)
    notes = torch.from_numpy((made["velocities"] > 0).astype(np.float32))[None]
    with torch.no_grad():
        both = torch_side.both(torch.from_numpy(made["rows"])[None], torch.from_numpy(made["looks"])[None])
        pitches = torch_side.pitch_scores(both, notes)[0].numpy()
        touches = torch_side.touch_scores(both[:, :, None], notes[:, :, None], torch_side.which.weight)[0].numpy()
    pianist = Pianist(open_session(weights.locate("toy", tmp_path)), take.course)
    for slot, row in enumerate(take.played.velocities[:-1]):
        played = np.flatnonzero(row)
        pitch, touch = pianist.scores(notes[0, slot].numpy() > 0)
        assert pitch == pytest.approx(pitches[slot], abs=1e-4)
        assert touch == pytest.approx(touches[slot], abs=1e-4)
        pianist.play((played + FLOOR).tolist(), row[played].tolist(), [1.92] * len(played))
    assert touches.shape == (len(take.course), REL, TOUCH)


def test_it_learns(toy: list[Take], tmp_path: Path) -> None:
    more = ["loop.steps=120", "loop.ema_decay=0.0", "players.piano.learning_rate=0.02", "loop.listen_every=0"]
    valid = network.taken("valid")
    before = keyboard.surprises(keyboard.Keyboard(16, keyboard.Training()).eval(), valid)
    learned = keyboard.surprises(
        export.read_run(trained(tmp_path, *more, "players.piano.warmup_steps=0")).networks["piano"],  # type: ignore[arg-type]
        valid,
    )
    for part in ("notes", "length", "velocity"):
        assert learned[part] < 0.5 * before[part]


def test_the_loss_is_the_likelihood_of_what_was_played(toy: list[Take]) -> None:
    """A slot's surprise is the sum over its tokens, one after the other, of those that may still come."""
    torch.manual_seed(0)
    made, take = keyboard.Keyboard(16, keyboard.Training()).eval(), toy[0]
    whole = keyboard.example(take, 0, 32, 0)
    given = {key: torch.from_numpy(array)[None] for key, array in whole.items()}
    notes, lengths, velocities = keyboard.surprises_of(made, **given, inside=torch.ones(1, 32))
    both = made.both(given["rows"], given["looks"])[0]
    slow, touch = [], []
    for slot in range(32):
        below, total = torch.zeros(REL), 0.0
        struck = [int(p) for p in np.flatnonzero(whole["velocities"][slot])]
        for token in [*struck, STOP]:
            lowest = max((int(p) + 1 for p in below.nonzero()), default=0)
            scores = made.pitch_scores(both[slot], below).detach()[lowest:]
            total -= float(torch.log_softmax(scores, dim=0)[token - lowest])
            if token != STOP:
                below[token] = 1
        slow.append(total)
        for place in struck:
            scores = made.touch_scores(both[slot], below, made.which.weight[place]).detach()
            chances = torch.log_softmax(scores[:LENGTHS], 0), torch.log_softmax(scores[LENGTHS:], 0)
            long, loud = whole["lengths"][slot, place], whole["velocities"][slot, place] // 8
            touch.append((-float(chances[0][long]), -float(chances[1][loud])))
    assert notes.tolist() == pytest.approx(slow, abs=1e-4)
    assert lengths.tolist() == pytest.approx([a for a, _ in touch], abs=1e-4)
    assert velocities.tolist() == pytest.approx([b for _, b in touch], abs=1e-4)


def test_batches_follow_from_the_draws(toy: list[Take]) -> None:
    source = network.make_source(Config(), network.Data(beats=60))
    one, again, other = (source.batch(Draws(0, step), 8) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["velocities"].shape == one["lengths"].shape == (8, 60 * PER_BEAT, REL)
    assert one["looks"].shape == (8, 60 * PER_BEAT, TONES + FEATURES)
    assert (one["velocities"][one["inside"] == 0] == 0).all()
    assert 0 < one["inside"].mean() < 1


def batch(**settings: Any) -> dict[str, np.ndarray]:
    return network.make_source(Config(), network.Data(beats=16, **settings)).batch(Draws(0, 0), 48)


def test_what_is_told_may_be_hidden(toy: list[Take]) -> None:
    assert (batch(untold=0.0, hidden=0.0)["rows"][..., SHAPE] > 0).all()
    assert not batch(untold=1.0, hidden=0.0)["rows"][..., SHAPE].any()
    some = batch(untold=0.0, hidden=0.5)["rows"][:, 0][:, SHAPE] == 0
    assert 0.3 < some.mean() < 0.7


@pytest.mark.parametrize("shift", [-3, 2, 3])
def test_a_moved_song_is_the_song_in_another_key(toy: list[Take], shift: int) -> None:
    """Moved while it is made into an example, or moved before: the same."""
    moved = song("001", up=shift)
    names = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
    roots = {s: names[(names.index(s[0]) + shift) % 12] + s[1:] for s in TRIADS}
    chords = tuple(Chord(c.start_s, c.end_s, roots[c.symbol]) for c in moved.chords)
    keys = (pop909.KeySpan(0, 24.0, names[shift % 12] + ":maj"),)
    elsewhere = _corpus.take(pop909.Song("001", moved.score, "4/4", True, chords, keys))
    assert elsewhere is not None
    ours, theirs = keyboard.example(toy[0], 8, 64, shift), keyboard.example(elsewhere, 8, 64, 0)
    for key in ("rows", "looks", "velocities"):
        assert (ours[key] == theirs[key]).all(), key
    still = keyboard.example(toy[0], 8, 64, 0)
    assert (ours["rows"][:, ROOT] == (still["rows"][:, ROOT] + shift) % 12).all()
    assert ours["rows"][0, HEIGHT] == height_class(int(toy[0].course.melody.pitches[8]) + shift)


def test_examples_are_moved_and_only_as_far_as_asked(toy: list[Take]) -> None:
    homes = [set(batch(shift=shift)["rows"][..., ROOT].ravel().tolist()) for shift in (0, 1, 3)]
    assert homes[0] == {0, 5, 7, 9}
    assert homes[1] == {(r + s) % 12 for r in homes[0] for s in (-1, 0, 1)}
    assert len(homes[2]) > len(homes[1])
    with pytest.raises(ValueError, match="shift"):
        network.Data(shift=4)
    with pytest.raises(SettingsError):
        recipe = load("pop_piano", ["data.shift=9"])
        settings(recipe, find_method(recipe.method))


def test_dropout_and_forgetting_act_in_training_only(toy: list[Take]) -> None:
    made = keyboard.example(toy[0], 0, 40, 0)
    rows, looks = torch.from_numpy(made["rows"])[None], torch.from_numpy(made["looks"])[None]
    for training in (keyboard.Training(dropout=0.5, forgetting=0.0), keyboard.Training(0.0, 0.5)):
        one = keyboard.Keyboard(16, training)
        assert (one.both(rows, looks) != one.both(rows, looks)).any()
        one.eval()
        assert (one.both(rows, looks) == one.both(rows, looks)).all()


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "takes", lambda split=None: iter(()))
    network.taken.cache_clear()
    with pytest.raises(InputError, match="nothing to learn"):
        trained(tmp_path)
    with pytest.raises(InputError, match="no pianists"):
        keyboard.surprises(keyboard.Keyboard(16, keyboard.Training()), ())
    network.taken.cache_clear()


# The corpus


def test_a_take_holds_what_was_played() -> None:
    take = _corpus.take(song("001"))
    assert take is not None
    assert (take.split, take.lost, len(take.bars)) == ("train", 0, 11)
    struck = [(np.flatnonzero(row) + FLOOR).tolist() for row in take.played.velocities[:32]]
    assert [p for (p,) in struck[::2]] == [48, 64, 67, 60, 48, 67, 60, 64, 45, 60, 64, 57, 45, 64, 57, 60]
    assert not any(struck[1::2])
    assert take.course.melody.pitches[[0, 6, 7, 8, 16]].tolist() == [72, 72, RESTS, 72, 73]
    assert np.flatnonzero(take.course.melody.starts)[:4].tolist() == [0, 8, 16, 24]


def test_the_second_voice_sings_where_the_first_rests() -> None:
    plain = song("001")
    bridge = (Note(0.5, 0.3, 80, 90), Note(0.95, 0.04, 81, 90), Note(4.91, 0.08, 82, 90))
    score = Score((*plain.score.parts, Part("bridge", 0, bridge)), plain.score.grid)
    sheet = _corpus.sheet_of(pop909.Song("001", score, "4/4", True, plain.chords, plain.keys))
    assert [n.pitch for n in sheet.melody if n.pitch >= 80] == [81, 82]


def test_two_notes_on_one_key_and_keys_out_of_range_are_lost() -> None:
    grid = BeatGrid(np.arange(8) * 0.5, np.arange(0, 8, 4), 4)
    notes = (Note(0.5, 0.1, 60, 80), Note(0.51, 0.4, 60, 70), Note(1, 0.5, LOWEST - 1, 80), Note(1, 0.5, HIGHEST, 80))
    played, lost = laid(grid, (*notes, Note(9.0, 1, 60, 80)), 0, 16)
    assert lost == 2
    assert played.velocities[4, 60 - FLOOR] == 70, "the longer one"
    assert played.velocities[8, HIGHEST - FLOOR] == 80


def test_features_look_back() -> None:
    """Beside a slow version, slot by slot."""
    rng = np.random.default_rng(0)
    played, frame = Played(48), frame_of(rng.integers(0, 12, 48))
    recalled = np.stack([np.arange(48) - 16, np.arange(48) - 32], axis=1).clip(-1)
    history: list[dict[int, tuple[int, float]]] = []
    for slot in range(48):
        pitches = sorted(rng.choice(np.arange(LOWEST, HIGHEST + 1), rng.integers(0, 4), replace=False).tolist())
        history.append({p: (int(rng.integers(30, 120)), float(rng.uniform(0.3, 9))) for p in pitches})
        played.play(slot, pitches, [v for v, _ in history[-1].values()], [long for _, long in history[-1].values()])
    found = look_back(played, frame, recalled, np.arange(48))
    for slot in (0, 1, 17, 40, 47):
        for place in range(REL):
            pitch = int(frame[slot]) + place
            starts = [t for t in range(slot) if pitch in history[t]]
            faded = np.exp(-(slot - 1 - starts[-1]) / 6) if starts else 0.0
            is_down = bool(starts) and starts[-1] + history[starts[-1]][pitch][1] > slot
            assert found[slot, place] == pytest.approx(faded, abs=1e-6)
            assert found[slot, REL + place] == is_down
            for group, bars in ((2, 1), (3, 2)):
                back = slot - 16 * bars
                was = back >= 0 and int(frame[back]) + place in history[back]
                assert found[slot, group * REL + place] == was
        last = next((t for t in range(slot - 1, -1, -1) if history[t]), None)
        level = 0.0 if last is None else np.mean([v for v, _ in history[last].values()])
        assert found[slot, 4 * REL] == pytest.approx(level / 127, abs=1e-6)
        assert found[slot, -1] == pytest.approx(1.0 if last is None else min(slot - 1 - last, 16) / 16)


def test_recorded_songs_lose_few_notes() -> None:
    try:
        names = pop909.names()[:3]
    except MissingError as missing:
        pytest.skip(str(missing))
    for name in names:
        take = _corpus.take(pop909.read(name))
        assert take is not None
        assert take.lost < 0.02 * int((take.played.velocities > 0).sum())
        assert (take.course.rows[:, list(SHAPE)] > 0).mean() > 0.8
