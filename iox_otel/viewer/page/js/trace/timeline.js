// The waterfall: minimap, ruler and rows over one scale, and the line under the pointer.

import {el} from "../dom.js";
import {duration} from "../format.js";
import {scaleOf} from "./bar.js";
import {splitter} from "./drag.js";
import {createMinimap} from "./minimap.js";
import {createRows} from "./rows.js";
import {createRuler} from "./ruler.js";

const LEAST_NAME = 120;
const LEAST_NS = 1;
const WHEEL = 0.0015;

/**
 * Return the waterfall of *trace*. *on* is told of `select(node)`, `toggle(node)` and `zoom(range or
 * null)`. `show` takes rows, context, matches, collapsed, current and range.
 */
export function createTimeline(trace, on) {
  let range = {from: 0, to: trace.duration};
  const zoom = (wanted) => on.zoom(wanted && within(wanted, trace));
  const minimap = createMinimap(trace, zoom);
  const ruler = createRuler(zoom);
  const rows = createRows({...on, seen: minimap.showRows});
  const lines = el("div", {class: "grid-lines", "aria-hidden": "true"});
  const root = el("div", {class: "timeline"});
  const border = splitter({label: "Width of the names", size: () => nameWidth(ruler, root),
    resize: (width) => resizeNames(root, width)});
  const body = el("div", {class: "timeline-body"}, lines, rows.root);
  const pointer = createPointer(body, ruler.root, () => range);
  root.append(minimap.root, el("div", {class: "timeline-head"},
    el("div", {class: "timeline-title"}, "Service and operation", legend()), border, ruler.root), body);

  function rescale() {
    root.style.setProperty("--gutter", `${rows.root.offsetWidth - rows.root.clientWidth}px`);
    const width = ruler.root.clientWidth;
    if (!width) return;
    const scale = scaleOf(range, width);
    const marks = ruler.show(scale);
    lines.replaceChildren(...marks.map((x) => line(x)));
    minimap.show(range);
    rows.show({scale});
    pointer.draw();
  }

  const observer = new ResizeObserver(rescale);
  observer.observe(ruler.root);
  observer.observe(rows.root);
  wheelZoom(body, ruler.root, () => range, zoom);
  return {
    root,
    rows,
    show(change) {
      range = change.range ?? range;
      if (change.matches) minimap.showMatches(change.matches);
      rows.show(change);
      rescale();
    },
    close: () => observer.disconnect(),
  };
}

function legend() {
  const parts = [["legend-self", "self time"], ["legend-critical", "critical path"], ["legend-event", "event"]];
  return el("span", {class: "legend"}, ...parts.map(([kind, said]) =>
    el("span", el("i", {class: kind, "aria-hidden": "true"}), said)));
}

const nameWidth = (ruler, root) => ruler.root.getBoundingClientRect().left - root.getBoundingClientRect().left;

function resizeNames(root, width) {
  const most = root.clientWidth - 200;
  root.style.setProperty("--name-width", `${Math.min(Math.max(width, LEAST_NAME), most)}px`);
}

function line(x) {
  const mark = el("div", {class: "grid-line"});
  mark.style.left = `calc(var(--name-width) + ${x}px)`;
  return mark;
}

/** *range* within the trace, at least a nanosecond long, in whole nanoseconds. */
export function within({from, to}, trace) {
  const first = Math.min(Math.max(Math.floor(from), 0), trace.duration - LEAST_NS);
  return {from: first, to: Math.min(Math.max(Math.ceil(to), first + LEAST_NS), trace.duration)};
}

/** Ctrl and wheel zooms about the pointer; shift and wheel moves along. */
function wheelZoom(body, ruler, range, zoom) {
  body.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const {from, to} = range();
    const turned = event.deltaY || event.deltaX;
    if (event.shiftKey) {
      const by = ((to - from) * turned) / 1000;
      zoom({from: from + by, to: to + by});
      return;
    }
    const box = ruler.getBoundingClientRect();
    const at = from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const factor = Math.exp(turned * WHEEL);
    zoom({from: at - (at - from) * factor, to: at + (to - at) * factor});
  }, {passive: false});
}

/** A thin line in *body* that says the time under the pointer; `draw` does it anew for another scale. */
function createPointer(body, ruler, range) {
  const said = el("span", {class: "pointer-time"});
  const root = el("div", {class: "pointer-line", "aria-hidden": "true", hidden: true}, said);
  let pointed = null;

  function draw() {
    const box = ruler.getBoundingClientRect();
    const share = pointed === null ? -1 : (pointed - box.left) / box.width;
    root.hidden = share < 0 || share > 1;
    if (root.hidden) return;
    const {from, to} = range();
    root.style.left = `${pointed - body.getBoundingClientRect().left}px`;
    root.classList.toggle("at-end", share > 0.9);
    said.textContent = duration(from + share * (to - from));
  }

  const follow = (x) => {
    pointed = x;
    draw();
  };
  body.append(root);
  body.addEventListener("pointermove", (event) => follow(event.clientX));
  body.addEventListener("pointerleave", () => follow(null));
  return {draw};
}
