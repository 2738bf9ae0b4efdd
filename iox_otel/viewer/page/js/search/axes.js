// Where the lines of a diagram go.

import {DAY, HOUR, MINUTE, roundStep} from "../steps.js";

const MS = 1e6;
/** Durations (ns) that are round to a person, each several times the one before: 1 ns … 10 s, 1 m, 10 m, 1 h, 10 h, 4 d … */
const ROUND_NS = [...Array.from({length: 11}, (_, power) => 10 ** power), MINUTE, 10 * MINUTE, HOUR, 10 * HOUR,
  ...Array.from({length: 6}, (_, power) => 4 * DAY * 10 ** power)];
const LOG_FROM = 30;
const MOST_LINES = 6;

/** Moments (ms), at most *most*, that a clock shows as round, between *low* and *high*. */
export function momentTicks(low, high, most) {
  const step = Math.max(roundStep(((high - low) / most) * MS) / MS, 1);
  const zone = step * MS >= HOUR ? new Date(low).getTimezoneOffset() * 60_000 : 0;
  const ticks = [];
  for (let at = Math.ceil((low - zone) / step) * step + zone; at <= high; at += step) ticks.push(at);
  return ticks;
}

/** A clock's texts of ticks: as much as tells each from the next, and its day where that is another one than before. */
export function momentTexts(ticks, now = Date.now()) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1000;
  let before = dayOf(now);
  return ticks.map((ms) => {
    const day = dayOf(ms);
    if (step * MS >= DAY) return day;
    const text = day === before ? clock(ms, step) : `${day.slice(5)} ${clock(ms, step)}`;
    before = day;
    return text;
  });
}

const dayOf = (ms) => new Date(ms).toLocaleDateString("en-CA");

function clock(ms, step) {
  const at = new Date(ms);
  const text = at.toTimeString().slice(0, step * MS >= MINUTE ? 5 : 8);
  return step < 1000 ? `${text}.${String(at.getMilliseconds()).padStart(3, "0")}` : text;
}

/**
 * A scale of *durations* (ns, one or more): linear from zero, or by decades where they differ much;
 * then zero is at the lowest line. `at(ns)` is between 0 and 1, `ticks` are durations.
 */
export function durationScale(durations) {
  const low = durations.reduce((least, ns) => (ns > 0 && ns < least ? ns : least), Infinity);
  const high = durations.reduce((most, ns) => Math.max(most, ns), 1);
  return high / low >= LOG_FROM ? decades(low, high) : linear(high);
}

function decades(low, high) {
  const first = Math.max(ROUND_NS.findLastIndex((each) => each <= low), 0);
  const [from, top] = [ROUND_NS[first], high * 1.15];
  const ticks = ROUND_NS.slice(first).filter((each) => each <= top);
  const every = Math.ceil(ticks.length / MOST_LINES);
  const share = (ns) => Math.log(ns / from) / Math.log(top / from);
  return {at: (ns) => (ns > from ? share(ns) : 0), ticks: ticks.filter((_, i) => i % every === 0)};
}

function linear(high) {
  const top = high * 1.1;
  const step = roundStep(top / 4, [1, 2, 2.5, 5]);
  const ticks = [];
  for (let at = 0; at <= top; at += step) ticks.push(at);
  return {at: (ns) => Math.max(ns, 0) / top, ticks};
}
