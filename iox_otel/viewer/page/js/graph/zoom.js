// Zoom and pan of a drawing: wheel, drag, keys, buttons.

import {set} from "../dom.js";

const LEAST = 0.1;
const MOST = 4;
const STEP = 1.25;
const MARGIN = 40;
const PAN = 80;
const IS_DRAG = 4;

/** Moves the contents of *drawing*, an <svg>, which are in the group *content*. */
export class Zoom {
  #drawing;
  #content;
  #scale = 1;
  #x = 0;
  #y = 0;
  #isTouched = false;
  #box = {left: 0, top: 0, width: 1, height: 1};
  #sizes;

  constructor(drawing, content) {
    this.#drawing = drawing;
    this.#content = content;
    drawing.addEventListener("wheel", (event) => this.#wheel(event), {passive: false});
    drawing.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#sizes = new ResizeObserver(() => this.#isTouched || this.fit());
    this.#sizes.observe(drawing);
  }

  close() {
    this.#sizes.disconnect();
  }

  /** What is drawn has these bounds now; unless it was moved by hand, all of it is shown. */
  bound(box) {
    this.#box = box;
    if (!this.#isTouched) this.fit();
  }

  /** Show all of it. */
  fit() {
    const {width, height} = this.#drawing.getBoundingClientRect();
    if (!width || !height) return;
    const scale = Math.min((width - 2 * MARGIN) / this.#box.width, (height - 2 * MARGIN) / this.#box.height, 1.25);
    this.#scale = Math.min(Math.max(scale, LEAST), MOST);
    this.#x = width / 2 - (this.#box.left + this.#box.width / 2) * this.#scale;
    this.#y = height / 2 - (this.#box.top + this.#box.height / 2) * this.#scale;
    this.#isTouched = false;
    this.#apply();
  }

  by(steps) {
    const {width, height} = this.#drawing.getBoundingClientRect();
    this.#around(STEP ** steps, width / 2, height / 2);
  }

  pan(right, down) {
    this.#x -= right * PAN;
    this.#y -= down * PAN;
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
      this.#x += move.clientX - x;
      this.#y += move.clientY - y;
      [x, y] = [move.clientX, move.clientY];
      if (moved < IS_DRAG) return;
      if (!this.#drawing.hasPointerCapture(event.pointerId)) this.#drawing.setPointerCapture(event.pointerId);
      this.#touched();
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
