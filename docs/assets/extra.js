// The theme's copy buttons are landmarks, one for each block of code, and need names that differ.
new MutationObserver(() => document.querySelectorAll(".md-code__nav").forEach((nav, place) => {
  if (!nav.hasAttribute("aria-label")) nav.setAttribute("aria-label", `Code ${place + 1}`)
})).observe(document.body, {childList: true, subtree: true})
