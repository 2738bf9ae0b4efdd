// Keys and values of a span, an event, a link, a process or a scope.

import {el} from "../dom.js";
import {line} from "../format.js";
import {copyButton} from "./copy.js";
import {isJson, laidOut} from "./json.js";
import {plainText} from "./matches.js";

const LONG = 300;
const FLAT = 60;

/** A table of *attributes*, each with its type and a button that copies its value. */
export function attributeTable(attributes, {label, dropped = 0, needle = ""}) {
  const table = el("table", {class: "pairs", "aria-label": label},
    el("tbody", {}, ...attributes.map((pair) => pairRow(pair, needle))));
  return dropped ? el("div", {}, table, dropNote(dropped)) : table;
}

/** Say that *count* more were there; the numbers do not tell who dropped them. */
export const dropNote = (count) => (count
  ? el("p", {class: "dropped"}, `${count} more were dropped, by the sender or beyond this viewer's limits`) : "");

function pairRow([key, type, value], needle) {
  const found = needle && `${key}=${plainText(type, value)}`.toLowerCase().includes(needle);
  return el("tr", {class: found ? "is-match" : ""},
    el("th", {scope: "row"}, ...breakable(key)),
    el("td", {class: `value value-${type}`, title: type}, ...valueParts(type, value),
      copyButton(`Copy the value of ${line(key, 100)}`, () => plainText(type, value))));
}

/** *key* with places after its dots and underscores at which its line may break; they are not copied. */
const breakable = (key) => key.split(/(?<=[._])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));

function valueParts(type, value) {
  if (type === "array" || type === "map") return [el("pre", {}, pretty(value))];
  const text = plainText(type, value);
  if (type === "bytes") return [el("span", {class: "value-note"}, "base64 "), shown(text)];
  if (type !== "string") return [shown(text)];
  return [isAddress(text) ? addressLink(text) : shown(text, isJson(text) ? laidOut(text) : text)];
}

/** *text* as it stands in the table, as *laid* where there is room for lines. */
function shown(text, laid = text) {
  if (text.length > LONG || text.includes("\n")) return longText(text, laid);
  return text.length > FLAT && laid !== text ? el("pre", {}, laid) : text;
}

// Printable ASCII alone: other letters could show another address than they lead to.
const isAddress = (text) => text.length <= LONG && /^https?:\/\/[!-~]+$/.test(text) && URL.canParse(text);

const addressLink = (text) => el("a", {href: text, target: "_blank", rel: "noopener noreferrer"}, text);

/** A value of many letters or lines, folded to its beginning until it is opened. */
function longText(text, laid) {
  const lines = text.split("\n").length;
  const size = lines > 1 ? `${lines} lines` : `${text.length} characters`;
  const start = text.split("\n", 1)[0].slice(0, 80);
  return el("details", {}, el("summary", {}, `${start}… `, el("span", {class: "value-note"}, size)),
    el("pre", {}, laid));
}

function pretty(value) {
  const flat = JSON.stringify(value);
  return flat.length <= FLAT ? flat : JSON.stringify(value, null, 2);
}

/** The attributes as lines of logfmt-like text, as they are copied together. */
export function attributeText(attributes) {
  return attributes.map(([key, type, value]) => `${key}=${plainText(type, value)}`).join("\n");
}
