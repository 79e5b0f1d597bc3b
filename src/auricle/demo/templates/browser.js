"use strict";
const MODEL = JSON.parse(document.getElementById("model").textContent);
const MOST_BYTES = 400e6, MOST_BARS = 8, MOST_LANES = 6, RANGE_DB = 70, LIVE_S = 30, SILENCE_DB = -60;
const $ = id => document.getElementById(id);
let work = Promise.resolve(), listener = null, isOpening = false;

const percent = share => share > 0.99 ? ">99 %" : share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`;
const clock = seconds => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const pause = () => new Promise(done => setTimeout(done));

function element(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text) { if ($("state").textContent !== text) $("state").textContent = text; }

function complain(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

// A message in the place of an answer.
function refuse(text) {
  say("");
  $("answer").hidden = true;
  complain(text);
}

// The verdict as text; a screen reader says the class when it changes, not every probability.
function showVerdict(row) {
  const label = namedIn(row), winner = winnerOf(row), share = percent(row[winner]);
  if (label !== NONE) return tell(MODEL.names[label], share);
  tell(MODEL.noneOfThese, `${winner === MODEL.background ? "" : "nearest: "}${MODEL.names[winner]}, ${share}`);
}

function tell(verdict, more) {
  if ($("verdict").textContent !== verdict) $("verdict").textContent = verdict;
  $("more").textContent = more;
}

function showBars(row) {
  const order = row.map((_, k) => k).sort((a, b) => row[b] - row[a]).slice(0, MOST_BARS);
  $("bars").replaceChildren(...order.map((k, place) => {
    const bar = element("div", place ? "au-bar" : "au-bar au-best"), full = element("span", "au-full"), part = element("i");
    part.style.width = `${100 * row[k]}%`;
    full.append(part);
    bar.append(element("span", "au-name", MODEL.names[k]), full, element("span", "au-share", percent(row[k])));
    return bar;
  }));
}

function track(kind, label, drawn) {
  const row = element("div", "au-row"), cell = element("div", `au-track au-${kind}`);
  cell.append(...drawn);
  row.append(element("div", "au-label", label), cell);
  return row;
}

// The sound, and below it a lane for each class that is the most probable one somewhere, on one time axis.
function showPictures(frames, steps, startS, durationS) {
  const { bands } = MODEL, columns = frames.length / bands, peaks = MODEL.names.map((_, k) => Math.max(...steps.map(row => row[k])));
  const lanes = peaks.map((_, k) => k).sort((a, b) => peaks[b] - peaks[a]).slice(0, MOST_LANES);
  const sound = bands > 1 ? spectrogram(frames, columns) : waveform(frames);
  const tick = [1, 2, 5, 10, 30, 60, 120, 300, 600].find(step => durationS / step <= 6) || 600, ticks = [];
  for (let at = Math.ceil(startS / tick) * tick; at <= startS + durationS; at += tick) {
    const mark = element("span", "au-time", durationS < 120 ? `${at} s` : clock(at).replace(/\.\d$/, ""));
    mark.style.left = `${100 * (at - startS) / durationS}%`;
    ticks.push(mark);
  }
  $("pictures").replaceChildren(
    track("spectrum", "", [sound, $("marks").content.cloneNode(true)]),
    ...lanes.map(k => track("strip", MODEL.names[k], [strip(steps.map(row => row[k]))])),
    track("axis", "", ticks),
  );
}

function canvasOf(width, height, paint) {
  const canvas = element("canvas");
  Object.assign(canvas, { width, height });
  paint(canvas.getContext("2d"));
  return canvas;
}

function strip(values) {
  const colour = getComputedStyle(document.body).getPropertyValue("--accent");
  return canvasOf(values.length, 1, context => {
    context.fillStyle = colour;
    values.forEach((value, x) => { context.globalAlpha = value; context.fillRect(x, 0, 1, 1); });
  });
}

// Power in dB, RANGE_DB from dark to bright; the brightest is the loudest, if that is more than silence.
function spectrogram(frames, columns) {
  const { bands } = MODEL, width = Math.min(columns, 900), levels = new Float32Array(width * bands);
  for (let x = 0; x < width; x++) {
    const first = Math.floor(x * columns / width) * bands;
    for (let band = 0; band < bands; band++) levels[(bands - 1 - band) * width + x] = 10 * Math.log10(frames[first + band] + 1e-12);
  }
  const top = levels.reduce((a, b) => Math.max(a, b), SILENCE_DB);
  return canvasOf(width, bands, context => {
    const image = context.createImageData(width, bands);
    levels.forEach((level, at) => {
      const shade = Math.max(0, (level - top) / RANGE_DB + 1);
      image.data.set([255 * Math.min(1, 1.6 * shade), 255 * shade ** 2, 255 * (0.35 * Math.sin(Math.PI * shade) + 0.75 * shade ** 4), 255], 4 * at);
    });
    context.putImageData(image, 0, 0);
  });
}

function waveform(samples) {
  const width = 600, reach = samples.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
  return canvasOf(width, 100, context => {
    context.fillStyle = "#9ecbea";
    for (let x = 0; x < width; x++) {
      const part = samples.subarray(Math.floor(x * samples.length / width), Math.floor((x + 1) * samples.length / width) + 1);
      const high = part.reduce((a, b) => Math.max(a, b), -reach), low = part.reduce((a, b) => Math.min(a, b), reach);
      context.fillRect(x, 50 - 50 * high / reach, 1, Math.max(1, 50 * (high - low) / reach));
    }
  });
}

function showStretches({ clip, stretches }) {
  $("when").hidden = Boolean(clip);
  $("stretches").replaceChildren(...stretches.map(({ startS, endS, label, probability }) => {
    const row = element("tr"), name = label === NONE ? MODEL.noneOfThese : MODEL.names[label];
    row.append(...[clock(startS), clock(endS), name].map(text => element("td", "left", text)), element("td", "", percent(probability)));
    return row;
  }));
}

// The verdict on a long recording: the classes that take most of its time.
function showSummary(stretches) {
  const lengths = new Map();
  for (const { label, startS, endS } of stretches) if (label !== NONE) lengths.set(label, (lengths.get(label) || 0) + endS - startS);
  const parts = [...lengths].sort((a, b) => b[1] - a[1]).slice(0, 3).map(([label, seconds]) => `${MODEL.names[label]} (${Math.round(seconds)} s)`);
  tell(parts.length ? parts.join(", ") : MODEL.noneOfThese, "");
  $("bars").replaceChildren();
}

async function analyseFile(file) {
  complain("");
  if (file.size > MOST_BYTES) return refuse(`This file is too large: ${Math.round(file.size / 1e6)} MB; at most ${MOST_BYTES / 1e6} MB can be opened.`);
  say(`Opening ${file.name} …`);
  let samples;
  try {
    samples = await waveformOf(file, MODEL.rateHz);
  } catch {
    return refuse(`This browser cannot open ${file.name} as a sound. Try WAV, MP3 or FLAC.`);
  }
  if (samples.length > 60 * MODEL.mostMinutes * MODEL.rateHz) return refuse(`This recording is too long: at most ${MODEL.mostMinutes} minutes are possible here; auricle predict has no limit.`);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  if (!Number.isFinite(peak)) return refuse(`${file.name} contains samples that are not finite.`);
  if (peak < MODEL.silentPeak) return refuse(`${file.name} is silent.`);
  const answer = await answerTo(samples, async share => { say(`Analysing ${file.name}: ${Math.round(100 * share)} %`); await pause(); });
  $("answer").hidden = false;
  if (answer.clip) { showVerdict(answer.clip); showBars(answer.clip); } else showSummary(answer.stretches);
  showStretches(answer);
  showPictures(answer.frames, answer.steps, 0, answer.durationS);
  URL.revokeObjectURL($("player").src);
  $("player").src = URL.createObjectURL(file);
  $("player").hidden = false;
  say(`${file.name}, ${clock(answer.durationS)}`);
}

const PROCESSOR = `registerProcessor("samples", class extends AudioWorkletProcessor {
  process([channels]) { if (channels[0]) this.port.postMessage(channels[0].slice()); return true; } });`;

async function startListening() {
  if (isOpening) return;
  isOpening = true;
  complain("");
  const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  const mine = { blocks: [], numSamples: 0, steps: [], frames: [] };
  try {
    if (!navigator.mediaDevices) throw new Error("Browsers allow the microphone only for pages opened from this device or by https.");
    mine.stream = await navigator.mediaDevices.getUserMedia({ audio: sound });
    mine.context = new AudioContext();
    await mine.context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(PROCESSOR)}`);  // no blob: from a disk
    const node = new AudioWorkletNode(mine.context, "samples");
    mine.context.createMediaStreamSource(mine.stream).connect(node).connect(mine.context.destination);
    node.port.onmessage = ({ data }) => { mine.blocks.push(data); mine.numSamples += data.length; };
  } catch (error) {
    release(mine);
    return complain(error.name === "NotAllowedError" ? "The microphone was not allowed. Allow it in the settings of the browser for this page." : `The microphone cannot be used. ${error.message}`);
  } finally {
    isOpening = false;
  }
  listener = mine;
  for (const source of mine.stream.getTracks()) source.onended = () => stopFor(mine, "The microphone was disconnected.");
  $("microphone").setAttribute("aria-pressed", "true");
  $("microphone").textContent = "Stop listening";
  work = work.then(() => hearLive(mine)).catch(error => stopFor(mine, `This sound cannot be analysed: ${error.message}`));
}

// Once a hop, answer the last window, as auricle listen does.
async function hearLive(mine) {
  const { rateHz, hopS, windowS, windowSamples, bands } = MODEL, ownHz = mine.context.sampleRate, kept = Math.ceil(LIVE_S / hopS);
  const perHop = Math.round(rateHz * hopS / MODEL.hopSamples) * bands;
  let heardS = 0;
  if (listener !== mine) return;
  $("player").hidden = $("when").hidden = true;
  $("answer").hidden = false;
  tell("", "");
  $("bars").replaceChildren();
  $("pictures").replaceChildren();
  say(`Listening, ${windowS} s at a time`);
  while (listener === mine) {
    const nowS = mine.numSamples / ownHz;
    if (nowS < heardS + hopS) { await new Promise(done => setTimeout(done, 20)); continue; }
    heardS = Math.max(heardS + hopS, nowS - hopS);
    const last = joined(mine.blocks).slice(-Math.ceil((windowS + 0.1) * ownHz));
    mine.blocks.splice(0, mine.blocks.length, last);
    const samples = resampled(last, ownHz, rateHz).slice(-windowSamples), frames = await framesOf(samples);
    const [row] = await probabilitiesOf(frames, 1);
    if (listener !== mine) return;
    mine.steps = [...mine.steps, row].slice(-kept);
    mine.frames = [...mine.frames, frames.slice(-perHop)].slice(-kept);
    showVerdict(row);
    showBars(row);
    const shownS = mine.steps.length * hopS;
    showPictures(joined(mine.frames), mine.steps, Math.max(0, heardS - shownS), shownS);
  }
}

function stopListening() {
  if (!listener) return;
  release(listener);
  listener = null;
  $("microphone").setAttribute("aria-pressed", "false");
  $("microphone").textContent = "Listen with the microphone";
  say("Stopped listening");
}

function release({ stream, context }) {
  if (stream) stream.getTracks().forEach(source => source.stop());
  if (context) context.close();
}

function stopFor(mine, reason) {
  if (listener !== mine) return;
  stopListening();
  complain(reason);
}

function take(file) {
  if (!file) return;
  stopListening();  // or the file would wait until the user stops it
  work = work.then(() => analyseFile(file)).catch(error => refuse(`This sound cannot be analysed: ${error.message}`));
}

$("file").addEventListener("change", event => { take(event.target.files[0]); event.target.value = ""; });
$("microphone").addEventListener("click", () => listener ? stopListening() : startListening());
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
work = openModel().then(
  () => { $("microphone").disabled = false; say("Ready"); },
  error => { say(""); complain(`The model cannot be opened here; this browser may be too old. ${error.message}`); throw error; },
);
