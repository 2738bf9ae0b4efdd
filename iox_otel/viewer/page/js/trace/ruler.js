// The ruler over the bars: ticks at round times, the time under the pointer, and a drag that zooms.

import {el} from "../dom.js";
import {duration} from "../format.js";
import {dragRange} from "./drag.js";
import {showChoice} from "./minimap.js";

const BETWEEN = 110;

/** Round times from *from* to *to*, at least *least* apart. */
export function roundTimes(from, to, least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least) ?? 10 * power;
  const times = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) times.push(time);
  return times;
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
      const times = roundTimes(scale.from, scale.to, least);
      marks.replaceChildren(...times.map((time) => tick(time, scale)));
      return times.map((time) => scale.x(time));
    },
  };
}

function tick(time, scale) {
  const mark = el("span", {class: "ruler-mark"}, duration(time));
  const x = scale.x(time);
  mark.style.left = `${x}px`;
  mark.classList.toggle("at-end", x > scale.width - 50);
  return mark;
}
