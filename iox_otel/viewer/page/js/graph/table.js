// The service graph as a table: a row for who calls whom.

import {serviceLabel} from "../colours.js";
import {el, fill} from "../dom.js";
import {count} from "../format.js";
import {headings, sortIn} from "../headings.js";

const COLUMNS = [{name: "caller", text: "Caller", first: 1}, {name: "called", text: "Called", first: 1},
  {name: "calls", text: "Calls", first: -1, kind: "number"}];
const OF = {caller: ({parent}) => parent, called: ({child}) => child, calls: ({callCount}) => callCount};

/** `element`; `show(calls, sort)`. Calls *on*(sort). */
export class CallTable {
  #app;
  #on;
  #head = el("tr");
  #body = el("tbody");

  constructor(app, on) {
    this.#app = app;
    this.#on = on;
    this.element = el("div", {class: "graph-table"}, el("table", {class: "table", "aria-label": "Calls"}, el("thead", this.#head), this.#body));
  }

  show(calls, sort) {
    const [column, direction] = sortIn(sort, Object.keys(OF), "-calls");
    headings(this.#head, COLUMNS, [column, direction], this.#on);
    const rows = [...calls].sort((a, b) => direction * order(OF[column](a), OF[column](b)) || b.callCount - a.callCount);
    fill(this.#body, rows.length ? rows.map((call) => this.#row(call))
      : el("tr", el("td", {colspan: COLUMNS.length, class: "dim"}, "No service calls another.")));
  }

  #row({parent, child, callCount}) {
    return el("tr", el("td", this.#link(parent)), el("td", this.#link(child)), el("td", {class: "number"}, count(callCount)));
  }

  #link(service) {
    return this.#app.link(`search?${new URLSearchParams({service})}`, serviceLabel(service));
  }
}

const order = (a, b) => (a < b ? -1 : Number(a > b));
