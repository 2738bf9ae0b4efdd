// Numbers, times and texts as a person reads them; logfmt as a person writes it.

const NS_PER_MS = 1_000_000n;

/** A duration in nanoseconds, three digits: "105 ms", "86.5 µs", "1 m 05 s"; null is "no end". */
export function duration(ns) {
  if (ns === null || ns === undefined) return "no end";
  if (ns < 0) return `−${duration(-ns)}`;
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  if (ns < 999_500) return `${digits(ns / 1e3)} µs`;
  if (ns < 999_500_000) return `${digits(ns / 1e6)} ms`;
  if (ns < 59_995_000_000) return `${digits(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60 * 48) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  return `${Math.floor(minutes / 1440)} d ${two(Math.floor(minutes / 60) % 24)} h`;
}

function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

const UNITS = {ns: 1, us: 1e3, "µs": 1e3, "μs": 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12};

/** Nanoseconds as `parseDuration` reads them again: "1.5ms". */
export function exactDuration(ns) {
  const unit = ["s", "ms", "µs", "ns"].find((each) => UNITS[each] <= ns) ?? "ns";
  return `${ns / UNITS[unit]}${unit}`;
}

/** The nanoseconds of "1.5ms" or "1m30s", as the query API takes durations; null if it is none. */
export function parseDuration(text) {
  const wanted = text.replaceAll(" ", "");
  if (!/^((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(wanted)) return null;
  const parts = wanted.matchAll(/([\d.]+)(\D+)/g);
  return Math.round([...parts].reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit], 0));
}

const two = (value) => String(value).padStart(2, "0");

/** Unix nanoseconds, a decimal text, as milliseconds with a fraction. */
export function msOf(ns) {
  const whole = BigInt(ns);
  return Number(whole / NS_PER_MS) + Number(whole % NS_PER_MS) / 1e6;
}

/** The clock time of a moment (ms), here: "14:03:22.125", with its date unless it is today. */
export function time(ms, now = Date.now()) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "no time";
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
    + `.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return at.toDateString() === new Date(now).toDateString() ? clock : `${date(at)} ${clock}`;
}

const date = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;

/** Unix nanoseconds (text or BigInt) as date and time here, always both, for titles and reports. */
export function dateTime(ns) {
  const ms = msOf(ns);
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "no time" : `${date(at)} ${time(ms, ms)}`;
}

/** The same to the last nanosecond that is known: "2026-11-27 18:50:58.666 123 400". */
export function exactTime(ns) {
  const below = String(BigInt(ns) % NS_PER_MS).padStart(6, "0").replace(/(000)+$/, "");
  return [dateTime(ns), ...below.match(/.../g) ?? []].join("\u202f");
}

/** How long ago a moment (ms) was: "now", "12 s ago", "3 h ago"; later moments are "ahead". */
export function ago(ms, now = Date.now()) {
  const seconds = Math.round((now - ms) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < -1) return `${span(-seconds)} ahead`;
  return seconds < 1 ? "now" : `${span(seconds)} ago`;
}

function span(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A number with its thousands: "10,000". */
export const count = (number) => String(number).replace(/\B(?=(?:\d{3})+$)/g, ",");

/** "1 span", "2 spans"; *many* where an s is not enough. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Bytes in powers of 1024: "12.4 MiB". */
export function bytes(number) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (number < 1000) return `${unit === "B" ? number : digits(number)} ${unit}`;
    number /= 1024;
  }
  return `${digits(number)} GiB`;
}

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

/** *text* in one line, what cannot be seen or turns the direction made visible, at most *most* long. */
export function line(text, most = 300) {
  const short = text.length > most ? `${text.slice(0, most)}…` : text;
  return short.replace(UNSEEN, (character) => `‹${character.codePointAt(0).toString(16).padStart(2, "0")}›`);
}

/**
 * The pairs of a logfmt text, as Jaeger's form takes them: a=b "c d"="e \" f"; a key alone is true.
 * Throws an Error of one line.
 */
export function parseLogfmt(text) {
  const pairs = [];
  let rest = text.trim();
  while (rest) {
    const [key, afterKey] = word(rest, /^[^\s="]+/);
    if (!key) throw new Error(`a tag begins with its key, not with ${line(rest, 20)}`);
    if (!afterKey.startsWith("=")) {
      if (afterKey && !/^\s/.test(afterKey)) throw new Error(`a space or = is missing before ${line(afterKey, 20)}`);
      pairs.push([key, "true"]);
      rest = afterKey.trimStart();
      continue;
    }
    const [value, after] = word(afterKey.slice(1), /^[^\s"]*/);
    if (after && !/^\s/.test(after)) throw new Error(`a space is missing before ${line(after, 20)}`);
    pairs.push([key, value]);
    rest = after.trimStart();
  }
  return pairs;
}

function word(text, bare) {
  if (!text.startsWith('"')) {
    const found = bare.exec(text)?.[0] ?? "";
    return [found, text.slice(found.length)];
  }
  const quoted = /^"(?:[^"\\]|\\.)*"/s.exec(text)?.[0];
  if (!quoted) throw new Error(`the quote is not closed: ${line(text, 20)}`);
  return [quoted.slice(1, -1).replace(/\\(.)/gs, "$1"), text.slice(quoted.length)];
}

/** A pair as logfmt text. */
export const logfmt = (key, value) => `${quotedIfNeeded(key)}=${quotedIfNeeded(value)}`;

const quotedIfNeeded = (text) =>
  (/^[^\s="\\]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`);
