// What is shown of one trace now: the current span, the view, the zoom, what is folded and found.

import {collapsedFrom, collapsedOf, deepestOpen, foldedText, reveal, rowsOf, shallowestClosed} from "./order.js";
import {matchesOf, neighbour} from "./matches.js";
import {FIRST_SORT, sortOf} from "./table.js";
import {within} from "./timeline.js";

/** Longer texts would not go into an address. */
const MOST_QUERY = 1000;
const MOST_FLAME = 2000;

export const VIEWS = ["timeline", "table", "flame"];

/**
 * The state of a trace's page, and what changes it. After each change *changed*(what) is called;
 * what can be said in an address is in `parameters()`.
 */
export class Session {
  constructor(trace, parameters, changed) {
    this.trace = trace;
    this.changed = changed;
    this.collapsed = new Set();
    this.read(parameters);
  }

  /** Take what an address says; see `parameters`. */
  read(parameters) {
    const {trace} = this;
    this.view = VIEWS.includes(parameters.get("view")) ? parameters.get("view") : "timeline";
    this.range = rangeOf(parameters.get("zoom"), trace);
    this.query = (parameters.get("q") ?? "").slice(0, MOST_QUERY);
    this.only = parameters.get("only") === "1";
    this.shortest = Math.max(Number(parameters.get("shortest")) || 0, 0);
    this.current = trace.byKey.get(parameters.get("span") ?? "") ?? null;
    this.opened = this.current !== null;
    this.missing = parameters.get("span") && !this.opened ? parameters.get("span") : null;
    this.matches = matchesOf(trace, this.query);
    this.sort = sortOf(parameters.get("sort"));
    this.flame = /^\d+(\.\d+)*$/.test(parameters.get("flame")) ? parameters.get("flame") : "";
    this.readFolded(parameters.get("folded") ?? "");
    this.order();
  }

  /** What is folded stays so while the address says the same, as it cannot say everything. */
  readFolded(text) {
    if (text !== foldedText(this.trace, this.collapsed)) this.collapsed = collapsedOf(this.trace, text);
    if (this.current) reveal(this.current, this.collapsed);
  }

  /** Show what another address of this trace says. */
  adopt(parameters) {
    this.read(parameters);
    this.changed("address");
  }

  /** What an address says of this; what is as it always is at first is left out. */
  parameters() {
    const whole = this.range.from <= 0 && this.range.to >= this.trace.duration;
    const said = {
      view: this.view === "timeline" ? "" : this.view,
      span: this.opened && this.current ? this.current.key : "",
      zoom: whole ? "" : `${this.range.from}-${this.range.to}`,
      q: this.query.trim(), only: this.only ? "1" : "",
      shortest: this.shortest ? String(this.shortest) : "",
      folded: foldedText(this.trace, this.collapsed), sort: this.sort === FIRST_SORT ? "" : this.sort,
      flame: this.flame.length > MOST_FLAME ? "" : this.flame,
    };
    return new URLSearchParams(Object.entries(said).filter(([, value]) => value));
  }

  order() {
    const only = this.only && this.query.trim() ? new Set(this.matches) : null;
    Object.assign(this, rowsOf(this.trace, {collapsed: this.collapsed, only, shortest: this.shortest}));
  }

  set(change, what = "rows") {
    Object.assign(this, change);
    this.order();
    this.changed(what);
  }

  /** Make *node* the current one and bring it into sight; *open* its details, if it says so. */
  select(node, opened = this.opened) {
    reveal(node, this.collapsed);
    this.set({current: node, opened}, "current");
  }

  close() {
    this.set({opened: false}, "current");
  }

  /** Go *step* rows down or up. */
  move(step) {
    if (!this.rows.length) return;
    const found = this.rows.indexOf(this.current);
    const from = found < 0 && step < 0 ? this.rows.length : found;
    this.select(this.rows[Math.min(Math.max(from + step, 0), this.rows.length - 1)]);
  }

  toggle(node) {
    if (!node.children.length) return;
    if (!this.collapsed.delete(node)) this.collapsed.add(node);
    if (this.current && this.isHidden(this.current)) this.current = node;
    this.set({});
  }

  isHidden(node) {
    for (let at = node.parent; at; at = at.parent) if (this.collapsed.has(at)) return true;
    return false;
  }

  /** To the right: open, then to the first child. To the left: close, then to the parent. */
  inward() {
    const node = this.current;
    if (!node?.children.length) return;
    if (this.collapsed.has(node)) this.toggle(node);
    else this.select(node.children[0]);
  }

  outward() {
    const node = this.current;
    if (!node) return;
    if (node.children.length && !this.collapsed.has(node)) this.toggle(node);
    else if (node.parent) this.select(node.parent);
  }

  /** Collapse or expand: "all", "none", or one level "less" or "more". */
  fold(how) {
    if (how === "all") this.collapsed = collapsedFrom(this.trace, 0);
    else if (how === "none") this.collapsed = new Set();
    else if (how === "less") {
      const depth = deepestOpen(this.rows, this.collapsed);
      for (const node of this.rows) if (node.children.length && node.depth >= depth) this.collapsed.add(node);
    } else {
      const depth = shallowestClosed(this.rows, this.collapsed);
      for (const node of this.rows) if (node.depth === depth) this.collapsed.delete(node);
    }
    for (let at = this.current?.parent; at; at = at.parent) if (this.collapsed.has(at)) this.current = at;
    this.set({});
  }

  /** Look for *query*, and go to its first match at or after the current span. */
  find(query) {
    this.query = query.slice(0, MOST_QUERY);
    this.matches = matchesOf(this.trace, this.query);
    const from = this.current?.index ?? -1;
    const next = this.matches.find((node) => node.index >= from) ?? this.matches[0];
    if (next) this.select(next);
    else this.set({}, "rows");
  }

  findAll(query) {
    Object.assign(this, {view: "timeline", only: true, current: null});
    this.find(query);
    this.changed("address");
  }

  /** Go to the next (or with -1 the one before) match. */
  step(step) {
    this.goTo(neighbour(this.matches, this.current, step));
  }

  /** Go to the next (or with -1 the one before) span with an error. */
  error(step) {
    this.goTo(neighbour(this.trace.errors, this.current, step));
  }

  goTo(node) {
    if (!node) return;
    this.view = "timeline";
    this.select(node);
  }

  zoom(range) {
    const whole = {from: 0, to: this.trace.duration};
    this.set({range: range ? within(range, this.trace) : whole}, "zoom");
  }

  /** Zoom to a span, with a little of what is around it. */
  zoomTo(node) {
    const edge = Math.max((node.end - node.start) * 0.05, 1);
    this.zoom({from: node.start - edge, to: node.end + edge});
  }
}

function rangeOf(text, trace) {
  const found = /^(\d+)-(\d+)$/.exec(text ?? "");
  const whole = {from: 0, to: trace.duration};
  if (!found || Number(found[1]) >= Number(found[2])) return whole;
  return within({from: Number(found[1]), to: Number(found[2])}, trace);
}
