// Mark the sides on which a formula, table or program goes on; skredu.css fades them.
const boxes = ".bd-article div.math, .bd-article pre, .pst-scrollable-table-container";

function mark(box) {
  const rest = box.scrollWidth - box.clientWidth - box.scrollLeft;
  box.classList.toggle("skredu-more-left", box.scrollLeft > 1);
  box.classList.toggle("skredu-more-right", rest > 1);
}

function watch() {
  const sizes = new ResizeObserver((entries) => entries.forEach((e) => mark(e.target)));
  for (const box of document.querySelectorAll(boxes)) {
    box.addEventListener("scroll", () => mark(box), { passive: true });
    sizes.observe(box);
  }
  const all = () => document.querySelectorAll(boxes).forEach(mark);
  window.MathJax?.startup?.promise?.then(all);
  window.addEventListener("load", all);
}

document.addEventListener("DOMContentLoaded", watch);
