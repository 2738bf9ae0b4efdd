// The headings of a table that is sorted by them. A sort is a text: the name of a column, "-" before it if downwards.

import {el, fill} from "./dom.js";

/** The column and direction that *text* says, ["start", -1]; those of *otherwise* if none of *names* is in it. */
export function sortIn(text, names, otherwise) {
  const column = (text || otherwise).replace(/^-/, "");
  return names.includes(column) ? [column, (text || otherwise).startsWith("-") ? -1 : 1] : sortIn(otherwise, names, otherwise);
}

/**
 * Fill the row *head* with the headings of *columns*, {name, text, isUnseen, first, kind}: `first` is the
 * direction of a column's first sort, without one it has none; `kind` its class. Calls *on*(sort). The focus stays.
 */
export function headings(head, columns, sort, on) {
  const focused = document.activeElement?.dataset?.column;
  fill(head, columns.map((column) => heading(column, sort, on)));
  if (focused) head.querySelector(`[data-column="${focused}"]`)?.focus();
}

function heading({name, text, isUnseen, first, kind}, [column, direction], on) {
  if (!first) return el("th", {class: kind}, el("span", {class: isUnseen ? "unseen" : null}, text));
  const now = name === column ? direction : 0;
  const next = now ? -now : first;
  return el("th", {class: kind, "aria-sort": now ? (now > 0 ? "ascending" : "descending") : null},
    el("button", {type: "button", "data-column": name, on: {click: () => on(`${next < 0 ? "-" : ""}${name}`)}},
      text, now ? el("span", {"aria-hidden": "true"}, now > 0 ? "▲" : "▼") : null));
}
