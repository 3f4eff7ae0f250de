"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const duration = data.duration_s;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// ---- sound: original and cover as media elements, stems as decoded buffers that replace the cover when one is off
const players = { original: new Audio(data.audio.original), cover: new Audio(data.audio.cover) };
for (const [name, player] of Object.entries(players)) {
  player.preload = "auto";
  player.volume = data.gains[name];
  player.addEventListener("ended", () => setPlaying(false));
  player.addEventListener("error", () => say(`The browser could not play the ${name}.`));
}
const stems = Object.keys(data.audio.stems).map((name) => ({ name, muted: false, solo: false, buffer: null, gain: null, node: null }));
let context = null, loading = null, turn = 0, startedAt = 0, playing = false, hearing = "cover", position = 0;

const say = (text) => { byId("player-message").textContent = text; };
const stemsOn = () => stems.some((s) => s.muted || s.solo);
const usesStems = () => hearing === "cover" && stemsOn();
const audible = (stem) => (stems.some((s) => s.solo) ? stem.solo : true) && !stem.muted;

function now() {
  if (!playing) return position;
  if (usesStems()) return stems.some((s) => s.node) ? Math.min(duration, context.currentTime - startedAt) : position;
  return players[hearing].currentTime;
}

function loadStems() {
  loading ??= decodeStems().catch((error) => { loading = null; throw error; });
  return loading;
}

async function decodeStems() {
  context ??= new AudioContext({ sampleRate: data.stem_rate });
  await Promise.all(stems.map(async (stem) => {
    const bytes = await (await fetch(data.audio.stems[stem.name])).arrayBuffer();
    stem.buffer = await context.decodeAudioData(bytes);
    stem.gain = context.createGain();
    stem.gain.connect(context.destination);
  }));
}

function silence() {
  for (const player of Object.values(players)) player.pause();
  for (const stem of stems) if (stem.node) { stem.node.stop(); stem.node = null; }
}

async function sound() {
  const mine = ++turn; // what was asked later, while this waits, is heard instead
  silence();
  if (!playing) return;
  if (usesStems()) {
    await loadStems();
    await context.resume();
    if (mine !== turn) return;
    startedAt = context.currentTime - position;
    for (const stem of stems) {
      stem.node = new AudioBufferSourceNode(context, { buffer: stem.buffer });
      stem.gain.gain.value = audible(stem) ? data.gains.cover : 0;
      stem.node.connect(stem.gain);
      stem.node.start(0, position);
    }
  } else {
    players[hearing].currentTime = position;
    await players[hearing].play().catch((error) => { if (mine === turn) throw error; });
  }
}

const attempt = (work) => work().catch((error) => { playing = false; showState(); say(`Cannot play: ${error.message}`); });
function setPlaying(on) { position = now() >= duration - 0.05 && on ? 0 : now(); playing = on; showState(); attempt(sound); }
function hear(what) { position = now(); hearing = what; showState(); attempt(sound); }
function seek(time) { position = Math.max(0, Math.min(duration, time)); attempt(sound); draw(); }
function toggleStem(stem, what) {
  position = now();
  stem[what] = !stem[what];
  hearing = "cover";
  showState();
  attempt(sound);
}

function showState() {
  byId("play").textContent = playing ? "❚❚ Pause" : "▶ Play";
  byId("hear-original").setAttribute("aria-pressed", hearing === "original");
  byId("hear-cover").setAttribute("aria-pressed", hearing === "cover");
  for (const stem of stems) for (const what of ["muted", "solo"]) stem[`${what}Button`].setAttribute("aria-pressed", stem[what]);
}

byId("play").onclick = () => setPlaying(!playing);
byId("hear-original").onclick = () => hear("original");
byId("hear-cover").onclick = () => hear("cover");
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "BUTTON" && event.key === " ") return;
  if (event.key === " ") { event.preventDefault(); setPlaying(!playing); }
  if (event.key === "a" || event.key === "A") hear(hearing === "cover" ? "original" : "cover");
});
if (!stems.length) byId("stems").textContent = "This song is too long to carry inside the page: the stems are in the folder stems/.";
for (const stem of stems) {
  const box = document.createElement("span");
  box.className = "stem";
  box.append(stem.name);
  for (const [what, label] of [["muted", "mute"], ["solo", "solo"]]) {
    const button = document.createElement("button");
    button.textContent = label;
    button.id = `${label}-${stem.name}`;
    button.onclick = () => toggleStem(stem, what);
    stem[`${what}Button`] = button;
    box.append(button);
  }
  byId("stems").append(box);
}

// ---- pictures
const salience = new Image();
salience.onload = () => draw();
salience.src = data.salience.image;
byId("spectrogram-original").src = data.spectrograms.original;
byId("spectrogram-cover").src = data.spectrograms.cover;

function surface(id) {
  const canvas = byId(id), scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = +canvas.getAttribute("height") / (canvas.dataset.scale || 1);
  if (canvas.width !== Math.round(width * scale)) {
    canvas.dataset.scale = scale;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

const ROOTS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
function tint(symbol) { // neighbours in the circle of fifths look alike; minor is darker; no chord has no colour
  const [, step, signs, quality] = symbol.match(/^([A-G])([#b]*)(.*)$/) ?? [];
  if (!step) return null;
  const root = [...signs].reduce((pitch, sign) => pitch + (sign === "#" ? 1 : -1), ROOTS[step]);
  return `hsl(${((root * 7 + 84) % 12) * 30} 65% ${/^:(min|dim|hdim)/.test(quality) ? 38 : 58}%)`;
}

function drawOverview(time) {
  const { pen, width, height } = surface("overview"), x = (s) => (s / duration) * width, top = 22, half = (height - top) / 2, strip = 14;
  data.sections.forEach((section, i) => {
    pen.fillStyle = i % 2 ? "rgba(128,128,128,.10)" : "rgba(128,128,128,.20)";
    pen.fillRect(x(section.start_s), 0, x(section.end_s - section.start_s), height);
    pen.fillStyle = colour("ink");
    pen.fillText(section.label, x(section.start_s) + 3, 14);
  });
  for (const [row, name] of ["original", "cover"].entries()) {
    pen.fillStyle = colour(name);
    const peaks = data.waveforms[name], room = half - strip, middle = top + half * row + room / 2, below = top + half * row + room;
    peaks.forEach((peak, i) => { const h = Math.max(0.5, (peak / 100) * (room / 2 - 2)); pen.fillRect((i / peaks.length) * width, middle - h, Math.max(1, width / peaks.length - 0.3), 2 * h); });
    for (const chord of data.chords[name]) {
      const left = x(chord.start_s), wide = x(chord.end_s) - left, fill = tint(chord.symbol);
      if (!fill) continue;
      pen.fillStyle = fill;
      pen.fillRect(left, below, Math.max(0.5, wide - 0.5), strip - 2);
      pen.fillStyle = "#fff";
      if (pen.measureText(chord.symbol).width + 4 < wide) pen.fillText(chord.symbol, left + 2, below + 10);
    }
  }
  pen.fillStyle = colour("ink");
  pen.fillRect(x(time), 0, 1.5, height);
}

const SPAN = 16;
function drawDetail(time) {
  const { pen, width, height } = surface("detail");
  const from = Math.max(0, Math.min(duration - SPAN, time - SPAN / 3)), x = (s) => ((s - from) / SPAN) * width;
  const rows = 46, low = data.salience.low_pitch, high = data.salience.high_pitch, y = (p) => rows + ((high - p) / (high - low)) * (height - rows);
  if (salience.complete && salience.naturalWidth) {
    const rate = data.salience.rate;
    pen.imageSmoothingEnabled = false;
    pen.globalAlpha = 0.75;
    pen.drawImage(salience, from * rate, 0, SPAN * rate, salience.naturalHeight, 0, rows, width, height - rows);
    pen.globalAlpha = 1;
  }
  pen.fillStyle = "rgba(128,128,128,.5)";
  for (const beat of data.beats_s) if (beat >= from && beat <= from + SPAN) pen.fillRect(x(beat), rows, 0.5, height);
  for (const beat of data.downbeats_s) if (beat >= from && beat <= from + SPAN) pen.fillRect(x(beat), 0, 1.2, height);
  for (const [row, name] of ["original", "cover"].entries()) {
    pen.fillStyle = colour(name);
    let free = 0;
    for (const chord of data.chords[name]) {
      const left = Math.max(2, x(chord.start_s) + 2);
      if (chord.end_s <= from || chord.start_s >= from + SPAN || left < free) continue;
      pen.fillText(chord.symbol, left, 16 + row * 20);
      free = left + pen.measureText(chord.symbol).width + 4;
    }
    pen.globalAlpha = 0.8;
    for (const [onset, length, pitch] of data.melodies[name]) if (onset + length > from && onset < from + SPAN) pen.fillRect(x(onset), y(pitch + (row ? 0.1 : 0.5)), Math.max(2, (length / SPAN) * width), 4);
    pen.globalAlpha = 1;
  }
  pen.fillStyle = colour("ink");
  pen.fillRect(x(time), 0, 1.5, height);
  byId("detail").dataset.from = from;
}

const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
function draw() {
  const time = now();
  drawOverview(time);
  drawDetail(time);
  byId("clock").textContent = `${clock(time)} / ${clock(duration)}`;
}
byId("overview").onclick = (event) => seek((event.offsetX / event.target.clientWidth) * duration);
byId("detail").onclick = (event) => seek(+event.target.dataset.from + (event.offsetX / event.target.clientWidth) * SPAN);
window.addEventListener("resize", draw);
(function tick() { if (playing) draw(); requestAnimationFrame(tick); })();

// ---- text
const cell = (row, text, kind) => { const td = row.insertCell(); td.textContent = text ?? "–"; if (kind) td.className = kind; };
byId("title").textContent = data.title;
byId("subtitle").textContent = data.subtitle;
document.title = `${data.title}: Contrafact`;
for (const figure of data.figures) {
  const row = byId("figures").tBodies[0].insertRow();
  cell(row, figure.label); cell(row, figure.value); cell(row, figure.copy); cell(row, figure.other);
}
for (const statistic of data.style_rows) {
  const row = byId("style").tBodies[0].insertRow();
  cell(row, statistic.label); cell(row, statistic.value, statistic.inside ? "" : "out"); cell(row, statistic.range); cell(row, statistic.inside ? "inside" : "outside", statistic.inside ? "" : "out");
}
const items = (id, texts, link) => {
  for (const text of texts.length ? texts : ["none"]) {
    const item = document.createElement("li");
    if (link && texts.length) { const a = document.createElement("a"); a.href = text.split("/").map(encodeURIComponent).join("/"); a.textContent = text; item.append(a); } else item.textContent = text;
    byId(id).append(item);
  }
};
items("warnings", data.warnings);
items("files", data.files, true);
byId("made").textContent = JSON.stringify(data.made, null, 1);
showState();
draw();
document.documentElement.dataset.ready = "true";
