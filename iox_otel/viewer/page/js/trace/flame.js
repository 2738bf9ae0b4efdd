// The flame graph: equal paths of calls as one, as wide as the self time of all that is below.

import {colourOf} from "../colours.js";
import {el} from "../dom.js";
import {counted, duration, line} from "../format.js";
import {flameOf} from "./measure.js";

const HIGH = 20;
const LEAST = 0.0015;
const MOST = 6000;

/**
 * Return the flame graph of *trace*; a press on a part makes it the whole width. *on* is told of
 * `find(name)` and `flame(path)`; `show` takes the path as `flame`.
 */
export function createFlame(trace, on) {
  const top = flameOf(trace.roots);
  const sheet = el("div", {class: "flame-sheet"});
  const said = el("p", {class: "flame-said", "aria-live": "polite"});
  const out = el("button", {type: "button"}, "Whole trace");
  const spans = el("button", {type: "button"}, "Find its spans");
  let focus = null;
  const choose = (node) => on.flame(pathOf(node));

  function draw() {
    const parts = laidOut(focus, top);
    sheet.replaceChildren(...parts.map((part) => box(part, top, choose)));
    sheet.style.height = `${(Math.max(...parts.map(({row}) => row), 0) + 1) * HIGH}px`;
    said.textContent = focus === top ? "As wide as the self time of all below; press a part to enlarge it."
      : describe(focus, top);
    out.hidden = spans.hidden = focus === top;
  }

  out.addEventListener("click", () => choose(top));
  spans.addEventListener("click", () => on.find(focus.name));
  return {
    root: el("div", {class: "flame"}, el("div", {class: "flame-head"}, said, spans, out), sheet),
    show({flame}) {
      const wanted = nodeAt(top, flame);
      if (wanted === focus) return;
      focus = wanted;
      draw();
    },
    /** Show what is above; return whether there was anything. */
    back() {
      if (focus === top) return false;
      choose(focus.parent);
      return true;
    },
    close() {},
  };
}

/** The positions among the children on the way to *node*, such as "0.2.1"; "" for the top. */
function pathOf(node) {
  const path = [];
  for (let at = node; at.parent; at = at.parent) path.unshift(at.parent.children.indexOf(at));
  return path.join(".");
}

/** The part at *path*, or the top if there is none. */
function nodeAt(top, path) {
  let at = top;
  for (const position of path ? path.split(".") : []) at = at?.children[position];
  return at ?? top;
}

/** The parts to draw: what *focus* hangs from at full width, and what is below it to scale. */
function laidOut(focus, top) {
  const above = [];
  for (let at = focus; at && at !== top; at = at.parent) above.unshift(at);
  const parts = above.map((node, row) => ({node, row, left: 0, wide: 1}));
  const row = above.length;
  const work = [{node: focus, row, left: 0, wide: 1}];
  while (work.length && parts.length < MOST) {
    const {node, row: at, left, wide} = work.shift();
    let x = left;
    for (const child of node.children) {
      const share = node.value ? (wide * child.value) / node.value : wide / node.children.length;
      if (share >= LEAST) {
        const part = {node: child, row: at, left: x, wide: share};
        parts.push(part);
        work.push({...part, row: at + 1});
      }
      x += share;
    }
  }
  return parts;
}

function box({node, row, left, wide}, top, choose) {
  const made = el("button", {type: "button", class: node.errors ? "flame-box has-errors" : "flame-box",
    title: describe(node, top)}, wide > 0.02 ? line(node.title) : "");
  made.setAttribute("aria-label", describe(node, top));
  made.style.left = `${100 * left}%`;
  made.style.width = `${100 * wide}%`;
  made.style.top = `${row * HIGH}px`;
  made.style.setProperty("--svc", colourOf(node.service));
  made.addEventListener("click", () => choose(node));
  return made;
}

function describe(node, top) {
  const share = top.value ? ` (${((100 * node.value) / top.value).toFixed(1)} %)` : "";
  const errors = node.errors ? `, ${counted(node.errors, "error")}` : "";
  return `${line(`${node.service}: ${node.title}`)}, ${counted(node.count, "span")}, `
    + `${duration(node.value)} with all below${share}, self ${duration(node.self)}${errors}`;
}
