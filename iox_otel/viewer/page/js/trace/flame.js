// The flame graph: equal paths of calls as one, as wide as the self time of all that is below.

import {colourOf} from "../colours.js";
import {el} from "../dom.js";
import {counted, duration, line} from "../format.js";
import {flameOf} from "./measure.js";

const HIGH = 20;
const LEAST = 0.0015;
const MOST = 6000;
/** From which share of the width there is room for a name, and for a time beside it. */
const NAMED = 0.02;
const MEASURED = 0.15;

/**
 * Return the flame graph of *trace*; a press on a part makes it the whole width. *on* is told of
 * `find(name)` and `flame(path)`; `show` takes the path as `flame`, and `matches`.
 */
export function createFlame(trace, on) {
  const top = flameOf(trace.roots);
  const sheet = el("div", {class: "flame-sheet"});
  const said = el("p", {class: "flame-said", "aria-live": "polite"});
  const out = el("button", {type: "button"}, "Whole trace");
  const spans = el("button", {type: "button"}, "Find its spans");
  let focus = null;
  let found = null;
  const choose = (node) => on.flame(pathOf(node));

  function draw() {
    const parts = laidOut(focus, top);
    const matches = new Set(found);
    sheet.replaceChildren(...parts.map((part) => box(part, top, {choose, tell, matches})));
    sheet.style.height = `${(Math.max(...parts.map(({row}) => row), 0) + 1) * HIGH}px`;
    tell(focus);
    out.hidden = spans.hidden = focus === top;
  }

  function tell(node) {
    said.textContent = node === top ? "As wide as the self time of all below; press a part to enlarge it."
      : describe(node, top);
  }

  out.addEventListener("click", () => choose(top));
  sheet.addEventListener("pointerleave", () => tell(focus));
  spans.addEventListener("click", () => on.find(focus.name));
  return {
    root: el("div", {class: "flame"}, el("div", {class: "flame-head"}, said, spans, out), sheet),
    show({flame, matches}) {
      const wanted = nodeAt(top, flame);
      if (wanted === focus && matches === found) return;
      [focus, found] = [wanted, matches];
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

function box({node, row, left, wide}, top, {choose, tell, matches}) {
  const kind = `flame-box${node.errors ? " has-errors" : ""}${node.nodes.some((each) => matches.has(each)) ? " is-match" : ""}`;
  const made = el("button", {type: "button", class: kind, "aria-label": describe(node, top)},
    wide > NAMED && el("span", {class: "clip"}, line(node.title)),
    wide > MEASURED && el("span", {class: "flame-time"}, duration(node.value), share(node, top)));
  made.style.left = `${100 * left}%`;
  made.style.width = `${100 * wide}%`;
  made.style.top = `${row * HIGH}px`;
  made.style.setProperty("--svc", colourOf(node.service));
  made.addEventListener("click", () => choose(node));
  made.addEventListener("pointerenter", () => tell(node));
  return made;
}

const share = (node, top) => (top.value ? ` (${((100 * node.value) / top.value).toFixed(1)} %)` : "");

function describe(node, top) {
  const errors = node.errors ? `, ${counted(node.errors, "error")}` : "";
  return `${line(`${node.service}: ${node.title}`, 120)}, ${counted(node.count, "span")}, `
    + `${duration(node.value)} with all below${share(node, top)}, self ${duration(node.self)}${errors}`;
}
