// The ruler over the bars: ticks at round times, the time under the pointer, and a drag that zooms.

import {el} from "../dom.js";
import {DAY, HOUR, MINUTE, SECOND, roundStep} from "../steps.js";
import {dragRange} from "./drag.js";
import {showChoice} from "./minimap.js";

const BETWEEN = 110;
const LETTER = 6.5;
const UNITS = [["s", SECOND], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
const LONG_UNITS = [["d", DAY], ["h", HOUR], ["m", MINUTE], ["s", SECOND]];

/** The round times, a *step* apart, from *from* to *to*. */
function roundTimes(from, to, step) {
  const times = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) times.push(n * step);
  return times;
}

/** *time* as exact as times that are a *step* apart have to be: "20 ms", "1.2345 s", "1 m 30 s". */
function exactly(time, step) {
  if (!time) return "0";
  if (time >= MINUTE) return longTime(time, step);
  const [unit, size] = UNITS.find(([, ns]) => ns <= time) ?? UNITS[3];
  return `${decimals(time / size, step / size)} ${unit}`;
}

const decimals = (value, step) => value.toFixed(Math.max(-Math.floor(Math.log10(step) + 1e-9), 0));

function longTime(time, step) {
  const parts = [];
  let rest = time;
  for (const [unit, size] of LONG_UNITS) {
    const last = unit === "s" || step % size === 0;
    const value = last ? decimals(rest / size, step / size) : String(Math.floor(rest / size));
    rest %= size;
    if (parts.length) parts.push(`${value.padStart(2, "0")} ${unit}`);
    else if (Number(value)) parts.push(`${value} ${unit}`);
    if (last) break;
  }
  return parts.join(" ");
}

/** Return the ruler; *zoom*({from, to} or null) is called for a choice. */
export function createRuler(zoom) {
  const marks = el("div", {class: "ruler-marks"});
  const choice = el("div", {class: "minimap-choice", hidden: true});
  const root = el("div", {class: "ruler", title: "Drag to zoom, double click for the whole trace"},
    marks, choice);
  let scale = null;
  const at = (share) => scale.from + share * (scale.to - scale.from);
  dragRange(root, {
    during: (from, to) => showChoice(choice, from, to),
    done(from, to) {
      choice.hidden = true;
      zoom({from: at(from), to: at(to)});
    },
    cancel: () => { choice.hidden = true; },
  });
  root.addEventListener("dblclick", () => zoom(null));
  return {
    root,
    /** Draw the ticks of *next*, and return where they are, in pixels. */
    show(next) {
      scale = next;
      const least = ((scale.to - scale.from) / Math.max(scale.width, 1)) * BETWEEN;
      const step = roundStep(least);
      const times = roundTimes(scale.from, scale.to, step);
      marks.replaceChildren(...times.map((time) => tick(scale.x(time), exactly(time, step), scale)));
      return times.map((time) => scale.x(time));
    },
  };
}

/** A label at *x*; without its text where that would go beyond the scale. */
function tick(x, text, scale) {
  const mark = el("span", {class: "ruler-mark"}, x + text.length * LETTER > scale.width ? "" : text);
  mark.style.left = `${x}px`;
  return mark;
}
