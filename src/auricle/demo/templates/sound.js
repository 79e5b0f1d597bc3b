"use strict";
// A file to a waveform at the rate of the model. The browser decodes at the file's own rate, so that its own resampler,
// which lets more through near half the rate than soxr does, has nothing to do.
const PASSBAND = 0.913, ATTENUATION_DB = 110;  // as soxr's quality HQ: flat up to this share of half the lower rate
const COMMON_HZ = 48000;  // of microphones and videos, where a file does not say its rate
const MP3_HZ = [44100, 48000, 32000];

async function waveformOf(file, rateHz) {
  const bytes = await file.arrayBuffer();
  const sound = await decoded(bytes, ownRateHz(new DataView(bytes)) || COMMON_HZ);
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let t = 0; t < mono.length; t++) mono[t] += samples[t] / sound.numberOfChannels;
  }
  return resampled(mono, sound.sampleRate, rateHz);
}

async function decoded(bytes, rateHz) {
  let context;
  try {
    context = new OfflineAudioContext(1, 1, rateHz);
  } catch {  // a rate that this browser does not work at
    context = new OfflineAudioContext(1, 1, COMMON_HZ);
  }
  return context.decodeAudioData(bytes);
}

// The rate in the header of WAV, FLAC, Ogg Vorbis or MP3; 0 where it is another format.
function ownRateHz(view) {
  const text = (at, length) => String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(at + i)));
  const limit = Math.min(view.byteLength, 1 << 20) - 40;
  if (limit < 0) return 0;
  if (text(0, 4) === "fLaC") return view.getUint32(18) >>> 12;
  if (text(0, 4) === "RIFF") {
    for (let at = 12, size; at < limit; at += 8 + size + (size & 1)) {  // chunks begin at even places
      if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
      size = view.getUint32(at + 4, true);
    }
    return 0;
  }
  if (text(0, 4) === "OggS") {
    const at = 27 + view.getUint8(26);
    return text(at, 7) === "\x01vorbis" ? view.getUint32(at + 12, true) : 0;
  }
  let at = 0;
  if (text(0, 3) === "ID3") at = 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + view.getUint8(i), 0);
  if (at > view.byteLength - 4 || (view.getUint16(at) & 0xffe0) !== 0xffe0) return 0;
  const version = (view.getUint8(at + 1) >> 3) & 3, index = (view.getUint8(at + 2) >> 2) & 3;
  return version === 1 || index === 3 ? 0 : MP3_HZ[index] >> [2, 0, 1, 0][version];
}

// A waveform at another rate: a sinc under a Kaiser window, one row of coefficients for each place between two samples.
function resampled(samples, fromHz, toHz) {
  if (fromHz === toHz) return samples;
  const filter = resamplerOf(fromHz, toHz), { rows, taps, up, down } = filter, half = taps >> 1;
  const made = new Float32Array(Math.max(1, Math.round(samples.length * toHz / fromHz)));
  for (let n = 0; n < made.length; n++) {
    const phase = (n * down) % up, first = Math.floor(n * down / up) - half + 1, row = rows.subarray(phase * taps);
    const begin = Math.max(0, -first), end = Math.min(taps, samples.length - first);
    let sum = 0;
    for (let k = begin; k < end; k++) sum += samples[first + k] * row[k];
    made[n] = sum;
  }
  return made;
}

const resamplers = new Map();
function resamplerOf(fromHz, toHz) {
  const key = `${fromHz} ${toHz}`;
  if (!resamplers.has(key)) {
    const common = (a, b) => b ? common(b, a % b) : a, divisor = common(fromHz, toHz);
    const up = toHz / divisor, down = fromHz / divisor, nyquist = Math.min(1, toHz / fromHz);  // of half the first rate
    const cutoff = nyquist * (1 + PASSBAND) / 2, width = Math.PI * nyquist * (1 - PASSBAND);
    const half = Math.ceil((ATTENUATION_DB - 7.95) / (2.285 * width) / 2), taps = 2 * half;
    const beta = 0.1102 * (ATTENUATION_DB - 8.7), scale = bessel(beta), rows = new Float32Array(up * taps);
    for (let phase = 0; phase < up; phase++) {
      for (let k = 0; k < taps; k++) {
        const t = k - half + 1 - phase / up, inside = 1 - (t / half) ** 2;
        const sinc = t ? Math.sin(Math.PI * cutoff * t) / (Math.PI * t) : cutoff;
        rows[phase * taps + k] = inside > 0 ? sinc * bessel(beta * Math.sqrt(inside)) / scale : 0;
      }
    }
    resamplers.set(key, { rows, taps, up, down });
  }
  return resamplers.get(key);
}

// The modified Bessel function of the first kind, of order 0.
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / 2 / k) ** 2;
  return sum;
}
