// The traces that were found, as a table.

import {serviceLabel, tint} from "../colours.js";
import {el} from "../dom.js";
import {ago, count, dateTime, duration, line, time} from "../format.js";
import {headings} from "../headings.js";
import {durationScale} from "./axes.js";
import {sortOf} from "./query.js";

// Each is a class, too: what a narrow window has no room for is left out by it.
const COLUMNS = [
  {name: "pick", text: "Compare", kind: "of-pick", isUnseen: true},
  {name: "service", text: "Service", first: 1, kind: "of-service"}, {name: "name", text: "Root", first: 1, kind: "of-name"},
  {name: "duration", text: "Duration", first: -1, kind: "of-duration number"}, {name: "spans", text: "Spans", first: -1, kind: "of-spans number"},
  {name: "errors", text: "Errors", first: -1, kind: "of-errors number"}, {name: "services", text: "Services", kind: "of-services"},
  {name: "start", text: "Start", first: -1, kind: "of-start number"},
];
const MOST_SERVICES = 12;
const ROWS_AT_ONCE = 200;
const NEAR_END_PX = 600;

/**
 * Of many rows those after the first hundreds are made when they are scrolled to. `element`; `show(rows, params)`; `picked` are the ids that are checked. Calls on.sort(value),
 * on.pick(ids) and on.hover(id or null).
 */
export class List {
  #app;
  #on;
  #all = [];
  #rows = new Map();
  #most = ROWS_AT_ONCE;
  #head = el("tr");
  #body = el("tbody");
  #scale = durationScale([0]);
  picked = [];

  constructor(app, on) {
    this.#app = app;
    this.#on = on;
    this.element = el("div", {class: "found"},
      el("table", {class: "table", "aria-label": "Traces"},
        el("colgroup", COLUMNS.map(({name}) => el("col", {class: `of-${name}`}))),
        el("thead", this.#head), this.#body));
    this.#body.addEventListener("click", (event) => this.#click(event));
    this.#body.addEventListener("mouseover", (event) => on.hover(event.target.closest("tr")?.dataset.id ?? null));
    this.#body.addEventListener("mouseleave", () => on.hover(null));
    this.element.addEventListener("scroll", () => this.#isNearEnd() && this.#more(), {passive: true});
  }

  /** Show *rows*, in their order; those that were there keep their elements, and the focus. */
  show(rows, params) {
    if (this.#showHead(sortOf(params))) this.#most = ROWS_AT_ONCE;
    if (rows.length) this.#scale = durationScale(rows.map((row) => row.duration));
    this.element.classList.toggle("has-dates", rows.some((row) => !isToday(row.startMs)));
    this.#all = rows;
    this.#draw();
  }

  #draw() {
    const rows = this.#all.slice(0, this.#most);
    const before = this.#rows;
    this.#rows = new Map(rows.map((row) => [row.traceID, this.#kept(row, before.get(row.traceID))]));
    const focused = document.activeElement;
    order(this.#body, [...this.#rows.values()].map(({element}) => element));
    if (focused !== document.activeElement && focused.isConnected) focused.focus({preventScroll: true});
    this.#scaleBars();
  }

  #isNearEnd() {
    const {scrollTop, clientHeight, scrollHeight} = this.element;
    return scrollTop + clientHeight > scrollHeight - NEAR_END_PX;
  }

  #more() {
    if (this.#most >= this.#all.length) return;
    this.#most += ROWS_AT_ONCE;
    this.#draw();
  }

  /** Mark the row of a trace, or none. */
  hover(id) {
    this.#body.querySelector("tr.hot")?.classList.remove("hot");
    this.#rows.get(id)?.element.classList.add("hot");
  }

  /** Bring "3 s ago" up to date. */
  tick() {
    for (const {row, element} of this.#rows.values()) element.querySelector(".ago").textContent = ago(row.startMs);
  }

  /** Focus the row *step* after the focused one. */
  move(step) {
    let links = [...this.#body.querySelectorAll("a.root")];
    const at = links.indexOf(document.activeElement?.closest("tr")?.querySelector("a.root"));
    if (at + step >= links.length) {
      this.#more();
      links = [...this.#body.querySelectorAll("a.root")];
    }
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1)];
    next?.focus();
    next?.scrollIntoView({block: "nearest"});
    return Boolean(next);
  }

  /** Check or uncheck the focused row; false if none is. */
  pickFocused() {
    const id = document.activeElement?.closest("tr")?.dataset.id;
    if (!id) return false;
    this.#pick(id);
    return true;
  }

  /** Check these. */
  showPicked(ids) {
    this.picked = ids;
    for (const {row, element} of this.#rows.values()) element.querySelector("input").checked = ids.includes(row.traceID);
  }

  // Two are enough to compare: a third one takes the place of the one that was checked first.
  #pick(id) {
    const picked = this.picked.includes(id) ? this.picked.filter((each) => each !== id) : [...this.picked, id].slice(-2);
    this.showPicked(picked);
    this.#on.pick(picked);
  }

  #kept(row, before) {
    if (before && same(before.row, row)) return before;
    const element = this.#made(row);
    if (before?.element.contains(document.activeElement)) queueMicrotask(() => element.querySelector("a.root").focus());
    return {row, element};
  }

  #made(row) {
    const name = line(row.name) || "(no name)";
    const pick = el("input", {type: "checkbox", checked: this.picked.includes(row.traceID),
      "aria-label": `Choose ${line(row.name, 60)} to compare`});
    return el("tr", {"data-id": row.traceID, style: tint(row.service)},
      el("td", {class: "of-pick"}, pick),
      el("td", {class: "of-service clip"}, serviceLabel(row.service)),
      el("td", {class: "of-name clip"}, this.#app.link(`trace/${row.traceID}`, {class: "root", title: line(row.name, 1000)}, el("bdi", name))),
      el("td", {class: "of-duration number"}, duration(row.duration), el("span", {class: "bar", "aria-hidden": "true"})),
      el("td", {class: "of-spans number"}, count(row.spans)),
      el("td", {class: "of-errors number"}, row.errors ? el("span", {class: "errors"}, count(row.errors)) : el("span", {class: "dim"}, "–")),
      servicesCell(row),
      el("td", {class: "of-start number", title: dateTime(row.startNs)}, time(row.startMs), " ", el("span", {class: "dim ago"}, ago(row.startMs))));
  }

  #scaleBars() {
    for (const {row, element} of this.#rows.values()) {
      element.querySelector(".bar").style.width = `${this.#scale.at(row.duration) * 100}%`;
    }
  }

  /** Whether it is another one than before. */
  #showHead([column, direction]) {
    const key = `${column}${direction}`;
    if (this.#head.dataset.key === key) return false;
    this.#head.dataset.key = key;
    headings(this.#head, COLUMNS, [column, direction], this.#on.sort);
    this.element.scrollTop = 0;
    return true;
  }

  #click(event) {
    const element = event.target.closest("tr");
    if (!element) return;
    if (event.target.closest("td.of-pick")) this.#pick(element.dataset.id);
    else if (!event.target.closest("a") && !getSelection().toString()) {
      const link = element.querySelector("a.root");
      link.dispatchEvent(new MouseEvent("click", event));
    }
  }
}

const same = (a, b) => a.name === b.name && a.service === b.service && a.spans === b.spans && a.errors === b.errors
  && a.duration === b.duration && a.startNs === b.startNs;

/** Put *elements* into *parent*, moving as few as it can. */
function order(parent, elements) {
  const wanted = new Set(elements);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let at = parent.firstChild;
  for (const element of elements) {
    if (element === at) at = at.nextSibling;
    else parent.insertBefore(element, at);
  }
}

const isToday = (ms) => ms >= new Date().setHours(0, 0, 0, 0) && ms < new Date().setHours(24, 0, 0, 0);

/** How many there are, and as many of them as there is room for, those with most spans first. */
function servicesCell({services}) {
  const all = Object.entries(services).sort((a, b) => b[1] - a[1]);
  const text = all.map(([service, spans]) => `${line(service, 80) || "(no name)"} ${count(spans)}`).join("\n");
  return el("td", {class: "of-services", title: text}, el("div", {class: "services"}, el("span", {class: "dim"}, count(all.length)),
    el("div", all.slice(0, MOST_SERVICES).map(([service, spans]) => serviceLabel(service, el("span", {class: "dim"}, ` ${count(spans)}`))))));
}
