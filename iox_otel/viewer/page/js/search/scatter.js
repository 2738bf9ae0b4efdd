// Durations over time: a dot per trace, which opens it.

import {colourOf} from "../colours.js";
import {el, fill, set, svg} from "../dom.js";
import {counted, dateTime, duration, line} from "../format.js";
import {durationScale, momentTexts, momentTicks} from "./axes.js";

const HEIGHT = 150;
const LEFT = 58;
const RIGHT = 16;
const TOP = 10;
const BOTTOM = 22;
const MOST_RADIUS = 9;
const CROWD = 300;

/**
 * `element`; `show(rows)`, `hover(id or null)`; calls on.hover(id or null), and
 * on.range(from, to), in ms, when one was drawn with the mouse.
 */
export class Scatter {
  #app;
  #on;
  #rows = [];
  #dots = new Map();
  #width = 0;
  #span = [0, 1];
  #svg = svg("svg", {role: "group", "aria-label": "Durations over time", height: HEIGHT});
  #tip = el("div", {class: "tip", hidden: true});

  constructor(app, on) {
    this.#app = app;
    this.#on = on;
    this.element = el("div", {class: "scatter"}, this.#svg, this.#tip);
    this.#svg.addEventListener("mouseover", (event) => this.#point(event.target.closest("a")));
    this.#svg.addEventListener("mouseleave", () => this.#point(null));
    this.#svg.addEventListener("pointerdown", (event) => this.#drag(event));
    new ResizeObserver(() => this.#resize()).observe(this.element);
  }

  show(rows) {
    if (rows === this.#rows) return;
    this.#rows = rows;
    this.#draw();
  }

  hover(id) {
    this.#svg.querySelector(".hot")?.classList.remove("hot");
    this.#dots.get(id)?.classList.add("hot");
  }

  #resize() {
    if (this.element.clientWidth === this.#width) return;
    this.#width = this.element.clientWidth;
    this.#draw();
  }

  #draw() {
    const width = this.#width;
    if (width < LEFT + RIGHT + 20) return;
    set(this.#svg, {width, viewBox: `0 0 ${width} ${HEIGHT}`});
    this.#dots.clear();
    if (!this.#rows.length) return void fill(this.#svg);
    const [low, high] = this.#span = spanOf(this.#rows);
    const scale = durationScale(this.#rows.map((row) => row.duration));
    const x = (ms) => LEFT + ((ms - low) / (high - low)) * (width - LEFT - RIGHT);
    const y = (ns) => HEIGHT - BOTTOM - scale.at(ns) * (HEIGHT - TOP - BOTTOM);
    fill(this.#svg, this.#lines(x, y, scale, width), this.#marks(x, y));
  }

  #lines(x, y, scale, width) {
    const [low, high] = this.#span;
    const moments = momentTicks(low, high, Math.floor(width / 110));
    const texts = momentTexts(moments);
    return svg("g", {class: "lines", "aria-hidden": "true"},
      scale.ticks.map((ns) => [
        svg("line", {x1: LEFT, x2: width - RIGHT, y1: y(ns), y2: y(ns)}),
        svg("text", {x: LEFT - 7, y: y(ns) + 4, "text-anchor": "end"}, ns ? short(duration(ns)) : "0"),
      ]),
      moments.map((ms, i) => svg("text", {x: x(ms), y: HEIGHT - 6, "text-anchor": "middle"}, texts[i])));
  }

  // Large ones first, so that no dot hides a smaller one; errors last, on top.
  #marks(x, y) {
    const rows = [...this.#rows].sort((a, b) => Boolean(a.errors) - Boolean(b.errors) || b.spans - a.spans);
    const share = rows.length > CROWD ? Math.sqrt(CROWD / rows.length) : 1;
    return rows.map((row) => {
      const dot = this.#app.svgLink(`trace/${row.traceID}`, {"data-id": row.traceID, tabindex: -1, draggable: "false",
        class: row.errors ? "dot has-errors" : "dot", "aria-label": `${line(row.name, 80)}, ${duration(row.duration)}`},
      svg("circle", {cx: x(row.startMs), cy: y(row.duration), r: radius(row.spans) * share, style: {"--svc": colourOf(row.service)}}));
      this.#dots.set(row.traceID, dot);
      return dot;
    });
  }

  #point(dot) {
    const row = dot && this.#rows.find((each) => each.traceID === dot.dataset.id);
    this.#on.hover(row?.traceID ?? null);
    this.#tip.hidden = !row;
    if (!row) return;
    const circle = dot.firstChild;
    const [cx, cy] = [Number(circle.getAttribute("cx")), Number(circle.getAttribute("cy"))];
    fill(this.#tip, el("strong", el("bdi", line(row.service, 60)), " ", el("bdi", line(row.name, 80))),
      el("div", `${duration(row.duration)} · ${counted(row.spans, "span")}${row.errors ? ` · ${counted(row.errors, "error")}` : ""}`),
      el("div", {class: "dim"}, dateTime(row.startNs)));
    const left = Math.min(Math.max(cx - this.#tip.offsetWidth / 2, 4), this.#width - this.#tip.offsetWidth - 4);
    this.#tip.style.left = `${left}px`;
    this.#tip.style.top = `${cy + 16}px`;
  }

  /** Let a range of time be drawn. */
  #drag(event) {
    if (event.button || event.target.closest("a") || !this.#rows.length) return;
    const origin = this.#svg.getBoundingClientRect().left;
    const clamp = (value) => Math.min(Math.max(value - origin, LEFT), this.#width - RIGHT);
    const from = clamp(event.clientX);
    const band = svg("rect", {class: "band", y: TOP, height: HEIGHT - TOP - BOTTOM, x: from, width: 0});
    this.#svg.append(band);
    this.#svg.setPointerCapture(event.pointerId);
    const follow = (move) => {
      const to = clamp(move.clientX);
      set(band, {x: Math.min(from, to), width: Math.abs(to - from)});
    };
    const end = (up) => {
      this.#svg.removeEventListener("pointermove", follow);
      band.remove();
      const ends = [from, clamp(up.clientX)].sort((a, b) => a - b);
      if (up.type === "pointerup" && ends[1] - ends[0] > 5) this.#on.range(...ends.map((at) => this.#moment(at)));
    };
    this.#svg.addEventListener("pointermove", follow);
    this.#svg.addEventListener("pointerup", end, {once: true});
    this.#svg.addEventListener("pointercancel", end, {once: true});
  }

  #moment(x) {
    const [low, high] = this.#span;
    return low + ((x - LEFT) / (this.#width - LEFT - RIGHT)) * (high - low);
  }
}

/** "1 m" of "1 m 00 s", "10 ms" of "10.0 ms". */
const short = (text) => text.replace(/ 00 \w$|\.0+(?= )/, "");
const radius = (spans) => Math.min(3 + Math.sqrt(spans) * 0.45, MOST_RADIUS);

function spanOf(rows) {
  const starts = rows.map((row) => row.startMs);
  const low = starts.reduce((a, b) => Math.min(a, b));
  const high = starts.reduce((a, b) => Math.max(a, b));
  const margin = Math.max((high - low) * 0.02, 5);
  return [low - margin, high + margin];
}
