"""The report page in a real browser: it plays both recordings from the same place, mutes and solos stems, and draws."""

import base64
import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contrafact.audio import Audio, Recording
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.report.page import PageSound, Scene, compressed, write_page
from contrafact.report.pictures import COLOURS, peaks, salience, spectrogram
from contrafact.score import Note, Part, Score, Transcription
from contrafact.transcribers._painted import FRAME_RATE, painted

RATE, SECONDS = 44_100, 6.0
HOSTILE = "Tune </script><script>document.title='owned'</script> & \"quotes\""


def tone(hz: float, level: float = 0.3, rate: int = RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(SECONDS * rate)) / rate)).astype(np.float32)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "scratch").mkdir()
    raw = folder / "scratch" / "source.f32"
    np.stack([tone(440), tone(440)], axis=1).astype("<f4").tofile(raw)
    sounds = {}
    for name, hz in ((None, 330), ("bass", 110), ("melody", 330)):
        sound = PageSound(RATE, mono=name is not None)
        sound.push(np.stack([tone(hz), tone(hz)]))
        sounds[name] = sound.uri()
    beats = np.arange(13) * 0.5
    sheet = LeadSheet(
        duration_s=SECONDS,
        beats_s=beats,
        downbeats_s=beats[::4],
        metre="4/4",
        key="A:min",
        chords=(Chord(0, 3, "A:min7"), Chord(3, SECONDS, "E:7")),
        melody=(MelodyNote(0.5, 1.0, 69), MelodyNote(2, 1, 71)),
        sections=(Section(0, 3, "A"), Section(3, SECONDS, "B")),
    )
    score = Score((Part("melody", 0, (Note(0.52, 0.9, 69, 90), Note(2.03, 0.9, 71, 80))),))
    report = {"warnings": [{"message": "A <b>warning</b>."}], "files": {"cover.wav": 1, "stems/bass.wav": 1}}
    report |= {"settings": {"seed": 0}, "versions": {}, "source": {}, "models": {}, "timings_s": {}}
    scene = Scene(
        title=HOSTILE,
        subtitle="jazz trio",
        source=Recording(raw, RATE, 2, int(SECONDS * RATE)),
        source_audio=compressed(Recording(raw, RATE, 2, int(SECONDS * RATE))),
        analysis=Audio(tone(440, rate=22_050)[None], 22_050),
        cover_analysis=Audio(tone(330, rate=22_050)[None], 22_050),
        cover=folder / "cover.wav",
        sounds=sounds,
        salience=salience(painted(score, SECONDS)),
        original=sheet,
        arranged=sheet,
        score=score,
        lufs={"original": -9.0, "cover": -15.0},
        figures=[{"label": "chroma cosine", "value": "0.7", "copy": "1.0", "other": "0.3"}],
        style_rows=[{"label": "rich chords", "value": "0.9", "range": "0.85 to 1", "inside": True}],
        report=report,
    )
    write_page(folder / "report.html", scene)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(page):
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("chromium and chromedriver are not installed")
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--autoplay-policy=no-user-gesture-required",
        "--window-size=1200,1600",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = selenium.ChromeService(shutil.which("chromedriver"))
    driver = selenium.Chrome(options=options, service=service)
    driver.get(page.as_uri())
    yield driver
    driver.quit()


def wait_for(browser, script: str, seconds: float = 10.0):
    until = time.monotonic() + seconds
    while not (value := browser.execute_script(f"return {script}")):
        assert time.monotonic() < until, f"never true: {script}; log: {browser.get_log('browser')}"
        time.sleep(0.05)
    return value


def test_it_is_ready_without_errors_and_shows_hostile_text_as_text(browser):
    wait_for(browser, "document.documentElement.dataset.ready === 'true'")
    assert browser.find_element("id", "title").text == HOSTILE
    assert browser.title == f"{HOSTILE}: Contrafact"
    assert "<b>warning</b>" in browser.find_element("id", "warnings").text
    assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]


def test_switching_keeps_place_and_both_are_equally_loud(browser):
    wait_for(browser, "players.cover.readyState >= 2 && players.original.readyState >= 2")
    browser.execute_script("seek(1.5)")
    browser.find_element("id", "play").click()
    wait_for(browser, "players.cover.currentTime > 1.6")
    assert browser.execute_script("return players.original.paused")
    before = browser.execute_script("return now()")
    browser.find_element("id", "hear-original").click()
    wait_for(browser, f"!players.original.paused && players.original.currentTime > {before}")
    assert browser.execute_script("return players.cover.paused")
    assert browser.execute_script("return now()") - before < 2.0
    volumes = browser.execute_script("return [players.original.volume, players.cover.volume]")
    assert volumes == pytest.approx([10 ** (-6 / 20), 1.0], abs=0.01)
    browser.find_element("id", "play").click()
    wait_for(browser, "players.original.paused && players.cover.paused")


def test_mute_and_solo_play_the_other_stems(browser):
    browser.execute_script("seek(1)")
    browser.find_element("id", "mute-bass").click()
    browser.find_element("id", "play").click()
    wait_for(browser, "context && stems.every(s => s.node) && now() > 1.1")
    assert browser.execute_script("return stems.map(s => s.gain.gain.value > 0)") == [False, True]
    assert browser.execute_script("return players.cover.paused")
    browser.find_element("id", "mute-bass").click()
    browser.find_element("id", "solo-bass").click()
    wait_for(browser, "stems.every(s => s.node)")
    assert browser.execute_script("return stems.map(s => audible(s))") == [True, False]
    lengths = browser.execute_script("return stems.map(s => s.buffer.duration)")
    assert lengths == pytest.approx([SECONDS] * 2, abs=0.05)
    browser.find_element("id", "solo-bass").click()
    browser.find_element("id", "play").click()
    wait_for(browser, "!playing")


def test_clicks_while_stems_are_decoded_are_heard_once_and_in_the_end(browser):
    """Sounds that start must be one for each stem, whatever was clicked while nothing was ready; a pause stays one."""
    browser.execute_script("""
        silence(); playing = false; loading = null; window.started = 0; window.decoded = 0;
        for (const stem of stems) { stem.buffer = null; stem.muted = stem.solo = false; }
        const decode = BaseAudioContext.prototype.decodeAudioData, start = AudioBufferSourceNode.prototype.start;
        BaseAudioContext.prototype.decodeAudioData = async function (bytes) {
          const decoded = await decode.call(this, bytes);
          await new Promise((done) => { window.release = [...(window.release || []), done]; });
          window.decoded += 1;
          return decoded;
        };
        AudioBufferSourceNode.prototype.start = function (...when) { window.started += 1; start.apply(this, when); };
        seek(1);
        for (const button of ["mute-bass", "play", "solo-bass", "mute-bass"]) byId(button).click();
    """)
    wait_for(browser, "window.release?.length === 2")
    assert browser.execute_script("return [now(), window.started]") == [1, 0], "the place is kept meanwhile"
    browser.execute_script("for (const done of window.release) done();")
    wait_for(browser, "stems.every(s => s.node)")
    assert browser.execute_script("return [window.started, window.decoded]") == [2, 2]
    assert browser.find_element("id", "player-message").text == ""
    browser.execute_script("""
        setPlaying(false); loading = null; window.release = [];
        byId("play").click(); byId("play").click();
    """)
    wait_for(browser, "window.release.length === 2")
    browser.execute_script("for (const done of window.release) done();")
    wait_for(browser, "window.decoded === 4")
    assert browser.execute_script("return [playing, window.started, stems.some(s => s.node)]") == [False, 2, False]
    browser.execute_script("""byId("solo-bass").click();""")


def test_pictures_are_drawn(browser, tmp_path):
    wait_for(browser, "salience.complete && salience.naturalWidth > 0")
    browser.execute_script("seek(0.2)")
    for canvas in ("overview", "detail"):
        painted_share = browser.execute_script(
            "const c = document.getElementById(arguments[0]);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (d.length / 4)",
            canvas,
        )
        assert painted_share > 0.01
    chords_of = "data.chords.original = data.chords.cover = [{ start_s: 0, end_s: duration, symbol: arguments[0] }];"
    pixel = (  # in the middle of the strip below the lower waveform
        "draw(); const c = document.getElementById('overview'), scale = window.devicePixelRatio || 1;"
        "const [x, y] = [0.75 * c.width, c.height - 8 * scale];"
        "return [...c.getContext('2d').getImageData(x, y, 1, 1).data];"
    )
    colours = {name: browser.execute_script(chords_of + pixel, name) for name in ("C:maj", "C:min", "F#:maj7", "N")}
    assert len({tuple(colour) for colour in colours.values()}) == 4
    assert colours["C:maj"][0] > max(colours["C:maj"][1:3]), "C is red"
    browser.save_screenshot(str(tmp_path / "report.png"))
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_the_page_asks_nothing_of_the_network(page):
    text = page.read_text("utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_pictures_show_what_sounds():
    audio = Audio(np.concatenate([tone(440, 0.1, 22_050), tone(440, 0.8, 22_050)])[None], 22_050)
    heights = peaks(audio)
    assert heights[100] == pytest.approx(12.5, abs=1)
    assert heights[-100] == 100
    assert len(np.unique(COLOURS.sum(axis=1))) > 200
    assert spectrogram(audio).startswith("data:image/png;base64,")


def test_the_picture_of_notes_is_never_wider_than_browsers_draw():
    notes = np.zeros((310_000, 88), np.float32)
    notes[155_000:, 60 - 21] = 1.0  # half of an hour
    heard = Transcription(Score(()), FRAME_RATE, notes, notes, np.zeros((len(notes), 264), np.float32))
    picture = salience(heard)
    with Image.open(io.BytesIO(base64.b64decode(picture["image"].partition(",")[2]))) as image:
        assert 31_000 < image.width <= 32_000
        row = np.array(image)[round(picture["high_pitch"] - 0.5) - 60, :, 3]
    assert np.flatnonzero(row)[0] / picture["rate"] == pytest.approx(155_000 / FRAME_RATE, abs=1 / picture["rate"])
