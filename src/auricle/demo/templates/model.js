"use strict";
// From a waveform to the answer that auricle predict gives. MODEL describes the bundle; the arithmetic is in its two graphs.
const PIECE_S = 20, WINDOWS_AT_ONCE = 8, SHORTEST_S = 1e-3, NONE = -1;
let runtime, toFrames, toLogits;

async function openModel() {
  const code = URL.createObjectURL(new Blob([textOf("runtime")], { type: "text/javascript" }));
  runtime = await import(code);
  URL.revokeObjectURL(code);
  Object.assign(runtime.env.wasm, { numThreads: 1, proxy: false });
  const unpacked = new Blob([bytesOf("wasm")]).stream().pipeThrough(new DecompressionStream("gzip"));
  runtime.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  const open = id => runtime.InferenceSession.create(bytesOf(id), { executionProviders: ["wasm"] });
  toFrames = await open("to-frames");
  toLogits = await open("to-logits");
}

const textOf = id => new TextDecoder().decode(bytesOf(id));
const bytesOf = id => Uint8Array.from(atob(document.getElementById(id).textContent), mark => mark.charCodeAt(0));

async function run(session, name, values, shape, made) {
  return (await session.run({ [name]: new runtime.Tensor("float32", values, shape) }))[made];
}

// All frames of a waveform, (T, bands) in one array, made piece by piece; a frame sees `marginFrames` to each side.
async function framesOf(samples, onProgress) {
  const { hopSamples, transformSamples, bands, rateHz } = MODEL;
  const margin = Math.ceil(transformSamples / 2 / hopSamples), step = Math.max(1, Math.round(PIECE_S * rateHz / hopSamples));
  const parts = [];
  for (let first = 0, isLast = false; !isLast; first += step) {
    const before = Math.min(first, margin), end = (first + step + margin) * hopSamples;
    isLast = end >= samples.length;
    const piece = samples.slice((first - before) * hopSamples, isLast ? samples.length : end);
    const { data } = await run(toFrames, "waveform", piece, [1, piece.length], "frames");
    parts.push(data.slice(before * bands, isLast ? data.length : (before + step) * bands));
    if (onProgress) await onProgress(first * hopSamples / samples.length);
  }
  return joined(parts);
}

function joined(parts) {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

// Probabilities of a batch of recordings of the same number of frames, a row each.
async function probabilitiesOf(frames, batch) {
  const { data, dims } = await run(toLogits, "frames", frames, [batch, frames.length / batch / MODEL.bands, MODEL.bands], "logits");
  return Array.from({ length: batch }, (_, row) => softmax(data.subarray(row * dims[1], (row + 1) * dims[1])));
}

function softmax(logits) {
  const powers = Array.from(logits, logit => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(power => power / sum);
}

// Probabilities of the windows of a recording, one a hop; beyond its end there is silence.
async function windowsOf(frames, numSamples, onProgress) {
  const { windowFrames, windowSamples, hopSamplesOfWindows, slackSamples, hopFrames, bands } = MODEL;
  const num = 1 + Math.max(0, Math.ceil((numSamples - windowSamples - slackSamples) / hopSamplesOfWindows));
  const size = windowFrames * bands, rows = [];
  for (let first = 0; first < num; first += WINDOWS_AT_ONCE) {
    const batch = Math.min(WINDOWS_AT_ONCE, num - first), windows = new Float32Array(batch * size);
    for (let i = 0; i < batch; i++) {
      const start = halfToEven((first + i) * hopFrames) * bands;
      windows.set(frames.subarray(start, start + size), i * size);
    }
    rows.push(...await probabilitiesOf(windows, batch));
    if (onProgress) await onProgress((first + batch) / num);
  }
  return rows;
}

function halfToEven(x) {
  const down = Math.floor(x), rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2) ? down + 1 : down;
}

const winnerOf = row => row.indexOf(Math.max(...row));

// The most probable class, or NONE if it is below its threshold or the background.
function namedIn(row) {
  const winner = winnerOf(row);
  return row[winner] >= MODEL.thresholds[winner] && winner !== MODEL.background ? winner : NONE;
}

// Detections over time: mean probabilities of the windows that cover each hop, and stretches in which one class wins.
function timelineOf(rows, durationS) {
  const { hopS, windowS } = MODEL, num = Math.max(1, Math.ceil((durationS - SHORTEST_S) / hopS)), steps = [];
  for (let step = 0; step < num; step++) {
    const last = Math.min(step, rows.length - 1), found = [];
    for (let i = last; i >= 0 && startOf(i) + windowS > step * hopS + 1e-6; i--) found.unshift(rows[i]);
    steps.push(meanOf(found.length ? found : [rows[last]]));
  }
  const stretches = [];
  steps.forEach((row, step) => {
    const label = namedIn(row), last = stretches.at(-1), endS = step + 1 < num ? (step + 1) * hopS : durationS;
    if (last && last.label === label) Object.assign(last, { endS, rows: [...last.rows, row] });
    else stretches.push({ label, startS: step * hopS, endS, rows: [row] });
  });
  for (const stretch of stretches) {
    const mean = meanOf(stretch.rows);
    stretch.probability = stretch.label === NONE ? Math.max(...mean) : mean[stretch.label];
  }
  return { steps, stretches };
}

const startOf = index => Math.round(index * MODEL.hopS * 1e6) / 1e6;
const meanOf = rows => rows[0].map((_, k) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length);

// The answer of auricle predict to a waveform at MODEL.rateHz: one class for a clip, a timeline for anything longer.
async function answerTo(samples, onProgress) {
  const durationS = samples.length / MODEL.rateHz, isClip = durationS <= MODEL.clipS;
  const frames = await framesOf(samples, onProgress && (share => onProgress(share / 4)));
  const [clip] = isClip ? await probabilitiesOf(frames, 1) : [null];
  const rows = await windowsOf(frames, samples.length, onProgress && (share => onProgress(0.25 + 0.75 * share)));
  return { durationS, frames, clip, ...timelineOf(rows, durationS) };
}
