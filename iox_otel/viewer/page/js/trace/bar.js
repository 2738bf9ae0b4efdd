// The bar of one span in the timeline: an SVG as wide as its cell.

import {svg} from "../dom.js";

export const ROW_HEIGHT = 24;
const TOP = 6;
const THICK = 12;
const LEAST = 2;
const DENSE = 6;
/** What is not this wide is drawn in full, as its outline would be all there is. */
const NARROW = 4;

/** How times become places: `x(ns)` in pixels of a cell *width* wide that shows *from* to *to*. */
export function scaleOf({from, to}, width) {
  const perNs = width / (to - from);
  return {from, to, width, x: (time) => (time - from) * perNs};
}

/** Return the shapes of a row, to be filled by `drawBar` as rows come and go. */
export function createBar() {
  const parts = {
    whole: svg("rect", {class: "bar-whole", y: TOP + 0.5, height: THICK - 1}),
    self: svg("path", {class: "bar-self"}),
    critical: svg("path", {class: "bar-critical"}),
    error: svg("rect", {class: "bar-error", y: TOP - 0.5, height: THICK + 1, rx: 2}),
    events: svg("path", {class: "bar-events"}),
    label: svg("text", {class: "bar-label", y: TOP + 10}),
  };
  return {root: svg("svg", {class: "bar", height: ROW_HEIGHT, "aria-hidden": "true"},
    ...Object.values(parts)), ...parts};
}

/** Draw *node* with *bar*; its *label* stands behind it, or at the edge beyond which it lies. */
export function drawBar(bar, node, scale, label) {
  const left = clamp(scale.x(node.start), scale);
  const right = Math.max(clamp(scale.x(node.end), scale), left + LEAST);
  const seen = node.end >= scale.from && node.start <= scale.to;
  bar.root.setAttribute("width", scale.width);
  bar.root.classList.toggle("unfinished", node.unfinished);
  bar.root.classList.toggle("absent", node.absent);
  bar.root.classList.toggle("narrow", right - left < NARROW);
  place(bar.whole, seen, left, right);
  place(bar.error, seen && node.isError, left - 0.5, right + 0.5);
  bar.self.setAttribute("d", blocks(node.selfParts, scale, TOP, THICK));
  bar.critical.setAttribute("d", blocks(node.critical, scale, TOP + THICK + 1, 2));
  bar.events.setAttribute("d", ticks(node.raw.events, scale));
  placeLabel(bar.label, label, node, scale);
}

const clamp = (x, scale) => Math.min(Math.max(x, -LEAST), scale.width + LEAST);

function place(rect, seen, left, right) {
  rect.classList.toggle("gone", !seen);
  if (!seen) return;
  rect.setAttribute("x", left.toFixed(1));
  rect.setAttribute("width", (right - left).toFixed(1));
}

/** The path of *parts*: those that would touch on the screen are drawn as one. */
function blocks(parts, scale, y, height) {
  const drawn = [];
  for (const [from, to] of parts) {
    if (to < scale.from || from > scale.to) continue;
    const left = clamp(scale.x(from), scale);
    const right = clamp(scale.x(to), scale);
    const last = drawn[drawn.length - 1];
    if (last && left - last[1] < 0.5) last[1] = right;
    else drawn.push([left, right]);
  }
  return drawn.map(([left, right]) => block(left, Math.max(right - left, 0.5), y, height)).join("");
}

const block = (x, width, y, height) => `M${x.toFixed(1)} ${y}h${width.toFixed(1)}v${height}h${-width.toFixed(1)}z`;

function ticks(events, scale) {
  const seen = new Set();
  for (const {time} of events) {
    if (time >= scale.from && time <= scale.to) seen.add(Math.round(scale.x(time)));
  }
  // Many would hide the bar: those stand above it only.
  const high = seen.size * DENSE > scale.width ? 4 : THICK + 6;
  return [...seen].map((x) => `M${x} ${TOP - 4}h1v${high}h-1z`).join("");
}

// The cell is wider than the scale (see trace.css), so that there is room behind a bar that ends last.
function placeLabel(text, label, {start, end}, scale) {
  const right = Math.min(Math.max(scale.x(end), scale.x(start) + LEAST), scale.width + LEAST);
  text.textContent = end < scale.from ? `◂ ${label}` : start > scale.to ? `${label} ▸` : label;
  text.setAttribute("x", (end < scale.from ? 5 : right + 5).toFixed(1));
}
