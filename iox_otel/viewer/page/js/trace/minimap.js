// The whole trace at a glance; a drag across it zooms the timeline, a double click shows all again.

import {colourOf} from "../colours.js";
import {el, svg} from "../dom.js";
import {dragRange} from "./drag.js";

const WIDE = 1000;
const HIGH = 60;

/** Return the minimap of *trace*; *zoom*({from, to} or null) is called for a choice. */
export function createMinimap(trace, zoom) {
  const before = el("div", {class: "minimap-shade"});
  const after = el("div", {class: "minimap-shade"});
  const choice = el("div", {class: "minimap-choice", hidden: true});
  const rows = el("div", {class: "minimap-rows", hidden: true});
  const matches = svg("path", {class: "minimap-matches"});
  const root = el("div", {class: "minimap", role: "img",
    "aria-label": "The whole trace; drag to zoom, double click for all of it"},
  picture(trace, matches), before, after, rows, choice);
  dragRange(root, {
    during: (from, to) => showChoice(choice, from, to),
    done(from, to) {
      choice.hidden = true;
      zoom({from: from * trace.duration, to: to * trace.duration});
    },
    cancel: () => { choice.hidden = true; },
  });
  root.addEventListener("dblclick", () => zoom(null));
  return {
    root,
    /** Shade what the timeline does not show. */
    show({from, to}) {
      before.style.width = `${(100 * from) / trace.duration}%`;
      after.style.left = `${(100 * to) / trace.duration}%`;
      after.style.width = `${100 - (100 * to) / trace.duration}%`;
      root.classList.toggle("is-zoomed", from > 0 || to < trace.duration);
    },
    /** Mark which rows are in sight, from that of *first* to before that of *next*, unless it is all. */
    showRows(first, next) {
      const size = trace.nodes.length;
      const [from, to] = [first?.index ?? 0, next?.index ?? size];
      rows.hidden = from === 0 && to === size;
      rows.style.top = `${(100 * from) / size}%`;
      rows.style.height = `${(100 * (to - from)) / size}%`;
    },
    showMatches(found) {
      const size = trace.nodes.length;
      const tops = new Set([...found].map(({index}) => Math.round((index / size) * HIGH * 2) / 2));
      const high = Math.min(Math.max(HIGH / size, 1), 6);
      matches.setAttribute("d", [...tops].map((y) => rectangle(0, y, WIDE, high)).join(""));
    },
  };
}

/** Show *choice*, an element over a timeline, from and to these shares of its width. */
export function showChoice(choice, from, to) {
  choice.hidden = false;
  choice.style.left = `${100 * from}%`;
  choice.style.width = `${100 * (to - from)}%`;
}

function picture(trace, matches) {
  const paths = new Map();
  const drawn = new Set();
  const high = Math.max(HIGH / Math.max(trace.nodes.length, 1), 1);
  for (const node of trace.nodes) {
    if (node.absent) continue;
    const y = (node.index / trace.nodes.length) * HIGH;
    const x = (Math.max(node.start, 0) / trace.duration) * WIDE;
    const wide = Math.max(((node.end - node.start) / trace.duration) * WIDE, 1);
    const kind = node.isError ? "error" : node.service;
    const place = `${kind}|${Math.round(x)}|${Math.round(wide)}|${Math.round(y * 2)}`;
    if (drawn.has(place)) continue;
    drawn.add(place);
    if (!paths.has(node.service)) paths.set(node.service, []);
    paths.get(node.service).push(rectangle(x, y, wide, Math.min(high * 0.8, 6)));
    if (node.isError) errorPath(paths).push(rectangle(Math.min(x, WIDE - 6), Math.min(y, HIGH - 5), 6, 5));
  }
  return svg("svg", {viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true"},
    matches, ...[...paths].sort(errorsLast).map(([service, parts]) => servicePath(service, parts)));
}

const ERRORS = Symbol("errors");

function errorPath(paths) {
  if (!paths.has(ERRORS)) paths.set(ERRORS, []);
  return paths.get(ERRORS);
}

const errorsLast = ([a], [b]) => (a === ERRORS) - (b === ERRORS);

function servicePath(service, parts) {
  const path = svg("path", {d: parts.join("")});
  if (service === ERRORS) path.classList.add("minimap-errors");
  else path.style.fill = colourOf(service);
  return path;
}

const rectangle = (x, y, wide, high) => `M${x.toFixed(1)} ${y.toFixed(2)}h${wide.toFixed(1)}v${high.toFixed(2)}h-${wide.toFixed(1)}z`;
