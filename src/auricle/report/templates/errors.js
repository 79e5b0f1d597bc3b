"use strict";
const clips = [...document.querySelectorAll(".clip")];
const byModel = document.getElementById("by-model"), byClass = document.getElementById("by-class");
let current = null;

function choose(clip, scroll) {
  if (current) current.classList.remove("current");
  current = clip;
  clip.classList.add("current");
  if (scroll) { clip.focus({ preventScroll: true }); clip.scrollIntoView({ block: "start" }); }
}

function filter() {
  const model = byModel.value, category = byClass.value;
  let shown = 0;
  for (const clip of clips) {
    let any = false;
    for (const part of clip.querySelectorAll(".answer-of")) {
      const fits = (!model || part.dataset.model === model)
        && (!category || clip.dataset.truth === category || part.dataset.answer === category);
      part.hidden = !fits;
      const saliency = clip.querySelector(`.saliency-of[data-model="${part.dataset.model}"]`);
      if (saliency) saliency.hidden = !fits;
      any = any || fits;
    }
    clip.hidden = !any;
    if (!any) clip.querySelector("audio").pause();
    shown += any;
  }
  document.getElementById("shown").textContent = `${shown} of ${clips.length} clips`;
  document.querySelector(".none").hidden = shown > 0;
  if (current && current.hidden) { current.classList.remove("current"); current = null; }
}

function pauseOthers(clip) {
  for (const other of clips) if (other !== clip) other.querySelector("audio").pause();
}

function play(clip) {
  pauseOthers(clip);
  // It rejects if it is paused before it begins, and if the browser cannot decode it, which its controls show.
  clip.querySelector("audio").play().catch(() => {});
}

function toggle(clip) {
  const audio = clip.querySelector("audio");
  if (audio.paused) play(clip); else audio.pause();
}

function go(step) {
  const shown = clips.filter(clip => !clip.hidden);
  if (!shown.length) return;
  const place = current ? shown.indexOf(current) + step : 0;
  const playing = current && !current.querySelector("audio").paused;
  choose(shown[Math.max(0, Math.min(shown.length - 1, place))], true);
  if (playing) play(current);
}

for (const clip of clips) {
  const audio = clip.querySelector("audio"), pictures = clip.querySelector(".pictures");
  const follow = () => {
    clip.style.setProperty("--at", audio.duration ? audio.currentTime / audio.duration : 0);
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    if (audio.paused) return; // another was started before this event was delivered
    pauseOthers(clip);
    clip.classList.add("begun");
    choose(clip, false);
    follow();
  });
  audio.addEventListener("seeked", follow);
  pictures.addEventListener("click", event => {
    const track = pictures.querySelector(".au-track").getBoundingClientRect();
    const place = (event.clientX - track.left) / track.width;
    if (place < 0 || place > 1) return;
    const start = () => { audio.currentTime = place * audio.duration; play(clip); };
    if (audio.readyState) start(); else { audio.addEventListener("loadedmetadata", start, { once: true }); audio.load(); }
  });
  clip.addEventListener("focusin", () => choose(clip, false));
}

document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("select, a")) return;
  if (event.key === " ") { if (!current) go(0); if (current) toggle(current); }
  else if (event.key === "ArrowRight") go(1);
  else if (event.key === "ArrowLeft") go(-1);
  else return;
  event.preventDefault();
}, true);

if (clips.length) {
  byModel.addEventListener("change", filter);
  byClass.addEventListener("change", filter);
  document.querySelector(".filter").hidden = false;
  filter();
}
