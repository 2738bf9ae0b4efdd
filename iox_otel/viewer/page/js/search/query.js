// A search as the address has it: which parameters there are, what they ask, and what fits without asking.

import {dateTime, line, logfmt, parseDuration, parseLogfmt} from "../format.js";
import {sortIn} from "../headings.js";

export const DEFAULT_LIMIT = 100;
export const LIMITS = [20, 50, 100, 200, 500, 1000, 2000, 5000];
export const LOOKBACKS = [
  ["", "all that is kept"], ["5m", "last 5 minutes"], ["15m", "last 15 minutes"], ["1h", "last hour"],
  ["6h", "last 6 hours"], ["24h", "last 24 hours"], ["48h", "last 2 days"],
];
export const SORTS = ["start", "service", "name", "duration", "spans", "errors"];
export const DEFAULT_SORT = "-start";

const ASKED = ["service", "operation", "tags", "minDuration", "maxDuration", "lookback", "start", "end", "errors", "traceID"];

/** What the server is asked for the search in *params*, which is the address's. */
export function asked(params) {
  const wanted = new URLSearchParams();
  for (const name of ASKED) for (const value of params.getAll(name)) if (value) wanted.append(name, value);
  wanted.set("limit", String(limitOf(params)));
  return wanted;
}

/** How many traces are asked for; of more than there are to choose from, the server gives no more. */
export function limitOf(params) {
  const limit = Number(params.get("limit"));
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, LIMITS.at(-1)) : DEFAULT_LIMIT;
}

/** The column and direction that the list is sorted by: ["start", -1]. */
export const sortOf = (params) => sortIn(params.get("sort"), SORTS, DEFAULT_SORT);

const BY = {
  start: (a, b) => a.startMs - b.startMs,
  duration: (a, b) => a.duration - b.duration,
  spans: (a, b) => a.spans - b.spans,
  errors: (a, b) => a.errors - b.errors,
  service: (a, b) => order(a.service, b.service),
  name: (a, b) => order(a.name, b.name),
};

const order = (a, b) => (a < b ? -1 : Number(a > b));

/** Rows in the order that the address asks for; among equals the newest first. */
export function sorted(rows, params) {
  const [column, direction] = sortOf(params);
  return [...rows].sort((a, b) => direction * BY[column](a, b) || b.startMs - a.startMs);
}

/** What is wrong with the fields of the form, by name, a line each; {} if nothing is. */
export function mistakes(params) {
  const wrong = {};
  for (const name of ["minDuration", "maxDuration"]) {
    if (params.get(name) && parseDuration(params.get(name)) === null) wrong[name] = "a duration is like 1.5ms, 200us or 2s";
  }
  const [least, most] = ["minDuration", "maxDuration"].map((name) => parseDuration(params.get(name) ?? ""));
  if (least !== null && most !== null && most < least) wrong.maxDuration = "less than the shortest";
  try {
    parseLogfmt(params.get("tags") ?? "");
  } catch (error) {
    wrong.tags = error.message;
  }
  for (const name of ["start", "end"]) {
    if (params.get(name) && !/^\d{1,18}$/.test(params.get(name))) wrong[name] = "not a moment in microseconds";
  }
  if (!wrong.start && params.get("start") && params.get("end") && Number(params.get("end")) < Number(params.get("start"))) {
    wrong.end = "ends before it begins";
  }
  return wrong;
}

/** Whether only the server can tell which traces fit: what is asked of single spans is not in a row. */
export function needsServer(params) {
  return ["operation", "tags", "minDuration", "maxDuration", "start", "end", "traceID"].some((name) => params.get(name))
    || Boolean(params.get("errors") && params.get("service"));
}

/** Whether a row that arrives now belongs to a search that does not need the server. */
export function fits(row, params) {
  const service = params.get("service");
  if (service && !Object.hasOwn(row.services, service)) return false;
  if (params.get("errors") && !row.errors) return false;
  const lookback = parseDuration(params.get("lookback") ?? "");
  return lookback === null || row.startMs >= Date.now() - lookback / 1e6;
}

/** Whether the search ends in the past, so that nothing new can come. */
export const isClosed = (params) => Boolean(params.get("traceID")) || Number(params.get("end") || Infinity) / 1000 < Date.now();

/** Each condition of the search as [text, the changes that take it away]. */
export function conditions(params) {
  const found = [];
  const say = (name, text) => params.get(name) && found.push([text(params.get(name)), {[name]: null}]);
  say("service", (value) => `service is ${line(value, 60)}`);
  say("operation", (value) => `operation is ${line(value, 60)}`);
  if (params.get("tags")) tagConditions(params, found);
  say("minDuration", (value) => `takes ${line(value, 20)} or more`);
  say("maxDuration", (value) => `takes ${line(value, 20)} or less`);
  say("errors", () => "has an error");
  say("lookback", (value) => `in the last ${line(value, 20)}`);
  const [start, end] = ["start", "end"].map((name) => params.get(name) && dateTime(`${params.get(name)}000`));
  if (start || end) found.push([[start && `from ${start}`, end && `to ${end}`].filter(Boolean).join(" "), {start: null, end: null}]);
  if (params.get("traceID")) found.push(["of chosen ids", {traceID: null}]);
  return found;
}

function tagConditions(params, found) {
  let pairs = [];
  try {
    pairs = parseLogfmt(params.get("tags"));
  } catch {
    found.push(["tags", {tags: null}]);
  }
  pairs.forEach(([key, value], i) => {
    const others = pairs.filter((_, j) => j !== i).map((pair) => logfmt(...pair)).join(" ");
    found.push([`tag ${line(logfmt(key, value), 80)}`, {tags: others || null}]);
  });
}
