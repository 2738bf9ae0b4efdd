// The rows of the tree grid: only those in sight (and the current one) are in the document.

import {colourOf} from "../colours.js";
import {el} from "../dom.js";
import {duration, line} from "../format.js";
import {ROW_HEIGHT, createBar, drawBar} from "./bar.js";

const SPARE = 8;
const INDENT = 12;
const MOST_INDENTS = 14;

/**
 * Return the tree grid and what it can do. *on* is told of `select(node)`,
 * `toggle(node)` and `seen(first, next)`, the nodes of the first row in sight and of the first below it.
 */
export function createRows(on) {
  const sheet = el("div", {class: "rows-sheet", role: "rowgroup"});
  const grid = el("div", {class: "rows", role: "treegrid", tabindex: "0", "aria-label": "Spans",
    "aria-colcount": "2"}, sheet);
  const live = new Map();
  let state = {rows: [], context: new Set(), matches: new Set(), collapsed: new Set(), current: null,
    scale: null};
  let places = new Map();

  function draw() {
    if (!state.scale) return;
    const first = Math.floor(grid.scrollTop / ROW_HEIGHT);
    const last = Math.min(Math.ceil((grid.scrollTop + grid.clientHeight) / ROW_HEIGHT), state.rows.length);
    on.seen(state.rows[first], state.rows[last]);
    const wanted = around(Math.max(first - SPARE, 0), last + SPARE);
    let above = null;
    for (const [node, row] of live) {
      if (wanted.has(node)) continue;
      row.root.remove();
      live.delete(node);
    }
    for (const node of wanted) {
      if (!live.has(node)) live.set(node, createRow(node, on));
      const row = live.get(node);
      fillRow(row, node, places.get(node), state);
      below(row.root, above);
      above = row.root;
    }
    pointAtCurrent();
  }

  /** The rows from *first* to *last*, and the current one, in their order. */
  function around(first, last) {
    const nodes = state.rows.slice(first, last);
    const at = places.get(state.current);
    if (at < first) nodes.unshift(state.current);
    if (at >= last) nodes.push(state.current);
    return new Set(nodes);
  }

  /** Put *row* after the row *above*, as a reader without eyes goes by the document's order. */
  function below(row, above) {
    if (row.isConnected && row.previousSibling === above) return;
    sheet.insertBefore(row, above ? above.nextSibling : sheet.firstChild);
  }

  function pointAtCurrent() {
    if (live.has(state.current)) grid.setAttribute("aria-activedescendant", rowId(state.current));
    else grid.removeAttribute("aria-activedescendant");
  }

  grid.addEventListener("scroll", () => requestAnimationFrame(draw), {passive: true});
  return {
    root: grid,
    /** Show another state: rows, context, matches, collapsed, current, scale. */
    show(change) {
      if (change.rows) places = new Map(change.rows.map((node, index) => [node, index]));
      state = {...state, ...change};
      sheet.style.height = `${state.rows.length * ROW_HEIGHT}px`;
      grid.setAttribute("aria-rowcount", String(state.rows.length));
      draw();
    },
    draw,
    has: (node) => places.has(node),
    place: (node) => places.get(node),
    /** Bring *node* into sight, in the middle if it was far away. */
    scrollTo(node) {
      const top = places.get(node) * ROW_HEIGHT;
      const {scrollTop, clientHeight} = grid;
      if (top >= scrollTop && top + ROW_HEIGHT <= scrollTop + clientHeight) return;
      const near = top > scrollTop - 3 * ROW_HEIGHT && top < scrollTop + clientHeight + 2 * ROW_HEIGHT;
      const above = near ? (top < scrollTop ? 0 : clientHeight - ROW_HEIGHT) : clientHeight / 2;
      grid.scrollTop = Math.max(top - above, 0);
    },
  };
}

const rowId = (node) => `row-${node.index}`;

function createRow(node, on) {
  const bar = createBar();
  const colour = colourOf(node.service);
  const toggle = el("span", {class: "row-toggle", "aria-hidden": "true"});
  const name = el("div", {class: "row-name", role: "gridcell"}, toggle,
    el("bdi", {class: "row-service"}, line(node.service)), el("bdi", {class: "row-operation"}, line(node.title)),
    ...marks(node));
  const times = el("div", {class: "row-bar", role: "gridcell", "aria-label": spoken(node)}, bar.root);
  const root = el("div", {class: "row", role: "row", id: rowId(node), "data-span": node.key,
    "aria-level": String(node.depth + 1), title: titleOf(node)}, name, times);
  root.classList.toggle("is-error", node.isError);
  root.classList.toggle("is-absent", node.absent);
  if (!node.absent) root.style.setProperty("--svc", colour);
  name.style.setProperty("--indent", `${indent(node.depth)}px`);
  if (node.depth > MOST_INDENTS) name.prepend(el("span", {class: "row-depth"}, String(node.depth)));
  toggle.addEventListener("click", (event) => {
    event.stopPropagation();
    on.toggle(node);
  });
  root.addEventListener("click", () => on.select(node));
  root.addEventListener("dblclick", () => on.toggle(node));
  return {root, toggle, bar};
}

const indent = (depth) => Math.min(depth, MOST_INDENTS) * INDENT;

function marks(node) {
  const found = [];
  if (node.absent) found.push(el("span", {class: "row-id"}, node.id));
  if (node.isError) found.push(el("span", {class: "mark mark-error", title: "error"}, "error"));
  for (const {kind, text} of node.warnings) {
    found.push(el("span", {class: "mark mark-odd", title: text}, ODD[kind]));
  }
  return found;
}

const ODD = {duplicate: "same id", cycle: "cycle", unfinished: "no end", skew: "before parent", stray: "event outside",
  root: "root"};

function titleOf(node) {
  const lines = [node.absent ? `The parent ${node.id} is not in this trace.` : line(`${node.service}: ${node.title}`)];
  if (!node.absent) lines.push(spoken(node));
  for (const {text} of node.warnings) lines.push(text);
  return lines.join("\n");
}

function spoken(node) {
  const took = node.unfinished ? "no end" : duration(node.duration);
  const parts = [took, `from ${duration(node.start)}`, `self ${duration(node.selfTime)}`];
  if (node.isError) parts.push("error");
  if (node.raw.events.length) parts.push(`${node.raw.events.length} events`);
  return parts.join(", ");
}

function fillRow(row, node, index, state) {
  const {root, toggle, bar} = row;
  const parent = node.children.length > 0;
  const open = parent && !state.collapsed.has(node);
  root.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
  root.setAttribute("aria-rowindex", String(index + 1));
  root.setAttribute("aria-selected", String(node === state.current));
  if (parent) root.setAttribute("aria-expanded", String(open));
  root.classList.toggle("is-context", state.context.has(node));
  root.classList.toggle("is-match", state.matches.has(node));
  root.classList.toggle("has-error-below", parent && !open && node.errorsBelow > 0);
  toggle.textContent = parent ? (open ? "▾" : `▸${node.below}${node.errorsBelow ? "!" : ""}`) : "";
  drawBar(bar, node, state.scale, node.unfinished ? "no end" : duration(node.duration));
}
