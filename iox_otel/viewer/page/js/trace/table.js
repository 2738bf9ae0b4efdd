// The table of a trace's operations; a row finds its spans in the timeline.

import {colourOf} from "../colours.js";
import {el} from "../dom.js";
import {count, duration, line} from "../format.js";
import {headings, sortIn} from "../headings.js";
import {operationsOf} from "./measure.js";

const time = (value) => (value === null ? "–" : duration(value));
const number = (name, text, show) => ({name, text, show, first: -1, kind: "number"});
const COLUMNS = [
  {name: "name", text: "Operation", first: 1},
  number("count", "Count", count),
  number("errors", "Errors", (errors) => (errors ? count(errors) : "–")),
  number("p50", "p50", time),
  number("p95", "p95", time),
  number("p99", "p99", time),
  number("max", "Longest", time),
  number("total", "Total", time),
  number("self", "Self time", time),
  number("critical", "Critical path", time),
];
const NAMES = COLUMNS.map(({name}) => name);

/** Sorted by a column, see headings.js. */
export const FIRST_SORT = "-self";

/** The sort that *text* says, or the first. */
export const sortOf = (text) => (NAMES.includes(text?.replace(/^-/, "")) ? text : FIRST_SORT);

/** Return the table of *trace*; *on* is told of `find(name)` and `sort(text)`. `show` takes `sort` and `matches`. */
export function createTable(trace, on) {
  const rows = operationsOf(trace.nodes);
  const most = rows.reduce((high, row) => Math.max(high, row.self), 1);
  let sorted = "";
  let found = null;
  const head = el("tr");
  const body = el("tbody");

  function fill() {
    const [column, direction] = sortIn(sorted, NAMES, FIRST_SORT);
    const order = [...rows].sort((a, b) => compare(a, b, column) * direction);
    const matches = new Set(found);
    body.replaceChildren(...order.map((row) => rowOf(row, most, matches, on)));
    headings(head, COLUMNS, [column, direction], on.sort);
  }

  return {
    root: el("div", {class: "operations", tabindex: "0", role: "region", "aria-label": "Operations"},
      el("table", {class: "table"}, el("thead", {}, head), body)),
    show({sort, matches}) {
      if (sort === sorted && matches === found) return;
      [sorted, found] = [sort, matches];
      fill();
    },
    close() {},
  };
}

function compare(a, b, column) {
  if (column === "name") return `${a.service}\0${a.name}` < `${b.service}\0${b.name}` ? -1 : 1;
  return (a[column] ?? -1) - (b[column] ?? -1);
}

function rowOf(row, most, matches, on) {
  const name = el("button", {type: "button", class: "link", title: `${line(`${row.service} ${row.title}`)}\nFind its spans in the timeline`},
    el("bdi", {class: "row-service"}, line(row.service)), el("bdi", {class: "row-operation"}, line(row.title)));
  name.addEventListener("click", () => on.find(row.name));
  const cells = COLUMNS.slice(1).map(({name: column, show}) =>
    el("td", {class: column === "errors" && row.errors ? "number has-errors" : "number"}, show(row[column])));
  const share = el("span", {class: "share"});
  share.style.setProperty("--share", (row.self / most).toFixed(3));
  cells[NAMES.indexOf("self") - 1].append(share);
  const kind = row.nodes.some((node) => matches.has(node)) ? "is-match" : null;
  const made = el("tr", {class: kind}, el("th", {scope: "row"}, name), ...cells);
  made.style.setProperty("--svc", colourOf(row.service));
  return made;
}
