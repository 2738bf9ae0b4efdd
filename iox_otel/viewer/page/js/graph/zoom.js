// Zoom and pan of a drawing: wheel, drag, keys, buttons.

import {set} from "../dom.js";

const LEAST = 0.1;
/** Below this nobody can read the letters. */
const READABLE = 0.6;
const MOST = 4;
const STEP = 1.25;
const MARGIN = 40;
const PAN = 80;
const EDGE = 12;
const IS_DRAG = 4;

/** Moves the contents of *drawing*, an <svg>, which are in the group *content*. */
export class Zoom {
  #drawing;
  #content;
  #scale = 1;
  #x = 0;
  #y = 0;
  #isTouched = false;
  #isWhole = false;
  #box = {left: 0, top: 0, width: 1, height: 1};
  #sizes;

  constructor(drawing, content) {
    this.#drawing = drawing;
    this.#content = content;
    drawing.addEventListener("wheel", (event) => this.#wheel(event), {passive: false});
    drawing.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#sizes = new ResizeObserver(() => this.#isTouched || this.#begin());
    this.#sizes.observe(drawing);
  }

  close() {
    this.#sizes.disconnect();
  }

  /** What is drawn has these bounds now; unless it was moved by hand, as much is shown as can be read, or all. */
  bound(box) {
    this.#box = box;
    if (!this.#isTouched) this.#begin();
  }

  /** Show all of it, from now on. */
  fit() {
    this.#isWhole = true;
    this.#isTouched = false;
    this.#begin();
  }

  /** Move *element*, a part of it, into sight. */
  reveal(element) {
    const [inner, outer] = [element, this.#drawing].map((each) => each.getBoundingClientRect());
    const way = (low, high, least, most) => Math.max(least - low, 0) || Math.min(most - high, 0);
    const right = way(inner.left, inner.right, outer.left + EDGE, outer.right - EDGE);
    const down = way(inner.top, inner.bottom, outer.top + EDGE, outer.bottom - EDGE);
    if (right || down) this.#move(right, down);
  }

  // Of what has no room the left is shown, and of that the middle: where callers are.
  #begin() {
    const {width, height} = this.#drawing.getBoundingClientRect();
    if (!width || !height) return;
    const fits = Math.min((width - 2 * MARGIN) / this.#box.width, (height - 2 * MARGIN) / this.#box.height, 1.25);
    this.#scale = Math.max(fits, this.#isWhole ? LEAST : READABLE);
    this.#x = Math.max((width - this.#box.width * this.#scale) / 2, MARGIN) - this.#box.left * this.#scale;
    this.#y = (height - this.#box.height * this.#scale) / 2 - this.#box.top * this.#scale;
    this.#apply();
  }

  by(steps) {
    const {width, height} = this.#drawing.getBoundingClientRect();
    this.#around(STEP ** steps, width / 2, height / 2);
  }

  pan(right, down) {
    this.#move(-right * PAN, -down * PAN);
  }

  #move(right, down) {
    this.#x += right;
    this.#y += down;
    this.#touched();
  }

  #around(factor, x, y) {
    const scale = Math.min(Math.max(this.#scale * factor, LEAST), MOST);
    const actual = scale / this.#scale;
    this.#x = x - (x - this.#x) * actual;
    this.#y = y - (y - this.#y) * actual;
    this.#scale = scale;
    this.#touched();
  }

  #touched() {
    this.#isTouched = true;
    this.#apply();
  }

  #apply() {
    set(this.#content, {transform: `translate(${this.#x} ${this.#y}) scale(${this.#scale})`});
  }

  #wheel(event) {
    event.preventDefault();
    const {left, top} = this.#drawing.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.#around(Math.exp(Math.min(Math.max(-event.deltaY * lines, -200), 200) * 0.0025), event.clientX - left, event.clientY - top);
  }

  // A drag that begins on a service moves the drawing too, and then follows no link.
  #grab(event) {
    if (event.button) return;
    let [x, y] = [event.clientX, event.clientY];
    let moved = 0;
    const follow = (move) => {
      moved += Math.abs(move.clientX - x) + Math.abs(move.clientY - y);
      const [right, down] = [move.clientX - x, move.clientY - y];
      [x, y] = [move.clientX, move.clientY];
      if (moved < IS_DRAG) return;
      if (!this.#drawing.hasPointerCapture(event.pointerId)) this.#drawing.setPointerCapture(event.pointerId);
      this.#move(right, down);
    };
    const end = () => {
      this.#drawing.removeEventListener("pointermove", follow);
      if (moved < IS_DRAG) return;
      const swallow = (click) => { click.preventDefault(); click.stopPropagation(); };
      this.#drawing.addEventListener("click", swallow, {capture: true, once: true});
      setTimeout(() => this.#drawing.removeEventListener("click", swallow, {capture: true}));
    };
    this.#drawing.addEventListener("pointermove", follow);
    this.#drawing.addEventListener("pointerup", end, {once: true});
    this.#drawing.addEventListener("pointercancel", end, {once: true});
  }
}
