// Where the lines of a diagram go.

const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5,
  36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];
const LOG_FROM = 30;

/** Moments (ms), at most *most*, that a clock shows as round, between *low* and *high*. */
export function momentTicks(low, high, most) {
  const step = STEPS_MS.find((each) => (high - low) / each <= most) ?? Math.ceil((high - low) / most / 864e5) * 864e5;
  const zone = step >= 36e5 ? new Date(low).getTimezoneOffset() * 60_000 : 0;
  const ticks = [];
  for (let at = Math.ceil((low - zone) / step) * step + zone; at <= high; at += step) ticks.push(at);
  return ticks;
}

/** A clock's text of a tick: as much as tells it from the next. */
export function momentText(ms, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1000;
  const at = new Date(ms);
  if (step >= 864e5) return at.toLocaleDateString("en-CA");
  const text = at.toTimeString().slice(0, step >= 6e4 ? 5 : 8);
  return step < 1000 ? `${text}.${String(at.getMilliseconds()).padStart(3, "0")}` : text;
}

/**
 * A scale of durations up to *highest* (ns), from *lowest*: linear from zero, or by decades where
 * they differ much. `at(ns)` is between 0 and 1, `ticks` are durations.
 */
export function durationScale(lowest, highest) {
  const low = Math.max(lowest, 1);
  const high = Math.max(highest, low);
  return high / low >= LOG_FROM ? decades(low, high) : linear(high);
}

function decades(low, high) {
  const from = Math.floor(Math.log10(low));
  const to = Math.max(Math.log10(high * 1.15), from + 1);
  const ticks = [];
  const step = Math.ceil((to - from) / 5);
  for (let power = from; power <= to; power += step) ticks.push(10 ** power);
  return {at: (ns) => Math.max(Math.log10(Math.max(ns, 1)) - from, 0) / (to - from), ticks, isLog: true};
}

function linear(high) {
  const top = high * 1.1;
  const raw = top / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= raw);
  const ticks = [];
  for (let at = 0; at <= top; at += step) ticks.push(at);
  return {at: (ns) => ns / top, ticks, isLog: false};
}
