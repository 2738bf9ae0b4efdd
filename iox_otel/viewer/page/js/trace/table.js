// The table of a trace's operations; a row finds its spans in the timeline.

import {colourOf} from "../colours.js";
import {el} from "../dom.js";
import {count, duration, line} from "../format.js";
import {operationsOf} from "./measure.js";

const time = (value) => (value === null ? "–" : duration(value));
const COLUMNS = [
  {key: "name", title: "Operation", text: true},
  {key: "count", title: "Count", show: count},
  {key: "errors", title: "Errors", show: (errors) => (errors ? count(errors) : "")},
  {key: "p50", title: "p50", show: time},
  {key: "p95", title: "p95", show: time},
  {key: "p99", title: "p99", show: time},
  {key: "max", title: "Longest", show: time},
  {key: "total", title: "Total", show: time},
  {key: "self", title: "Self time", show: time},
  {key: "critical", title: "Critical path", show: time},
];

/** Sorted by the key of a column, downwards with a "-" before it. */
export const FIRST_SORT = "-self";

/** The sort that *text* says, or the first. */
export const sortOf = (text) => (COLUMNS.some(({key}) => [key, `-${key}`].includes(text)) ? text : FIRST_SORT);

/** Return the table of *trace*; *on* is told of `find(name)` and `sort(text)`. `show` takes a sort. */
export function createTable(trace, on) {
  const rows = operationsOf(trace.nodes);
  const most = rows.reduce((high, row) => Math.max(high, row.self), 1);
  let sorted = "";
  const body = el("tbody");
  const heads = COLUMNS.map((column) => headOf(column, () => {
    const down = keyOf(sorted) === column.key ? !isDown(sorted) : !column.text;
    on.sort(`${down ? "-" : ""}${column.key}`);
  }));

  function fill() {
    const [sortKey, down] = [keyOf(sorted), isDown(sorted)];
    const order = [...rows].sort((a, b) => compare(a, b, sortKey) * (down ? -1 : 1));
    body.replaceChildren(...order.map((row) => rowOf(row, most, on)));
    heads.forEach((head, i) => head.setAttribute("aria-sort",
      COLUMNS[i].key === sortKey ? (down ? "descending" : "ascending") : "none"));
  }

  return {
    root: el("div", {class: "operations", tabindex: "0", role: "region", "aria-label": "Operations"},
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)),
    show({sort}) {
      if (sort === sorted) return;
      sorted = sort;
      fill();
    },
    close() {},
  };
}

const isDown = (sort) => sort.startsWith("-");
const keyOf = (sort) => sort.replace("-", "");

function compare(a, b, key) {
  if (key === "name") return `${a.service}\0${a.name}` < `${b.service}\0${b.name}` ? -1 : 1;
  return (a[key] ?? -1) - (b[key] ?? -1);
}

function headOf({title, text}, act) {
  const made = el("button", {type: "button"}, title);
  made.addEventListener("click", act);
  return el("th", {scope: "col", class: text ? "" : "number"}, made);
}

function rowOf(row, most, on) {
  const name = el("button", {type: "button", class: "link", title: `${line(`${row.service} ${row.title}`)}\nFind its spans in the timeline`},
    el("bdi", {class: "row-service"}, line(row.service)), el("bdi", {class: "row-operation"}, line(row.title)));
  name.addEventListener("click", () => on.find(row.name));
  const cells = COLUMNS.slice(1).map(({key, show}) =>
    el("td", {class: key === "errors" && row.errors ? "number has-errors" : "number"}, show(row[key])));
  const share = el("span", {class: "share"});
  share.style.width = `${(100 * row.self) / most}%`;
  cells[COLUMNS.findIndex(({key}) => key === "self") - 1].append(share);
  const made = el("tr", {}, el("th", {scope: "row"}, name), ...cells);
  made.style.setProperty("--svc", colourOf(row.service));
  return made;
}
