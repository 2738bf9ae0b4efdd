// Dragging: a range of time with the pointer, and the border between two parts of the page.

import {el} from "../dom.js";

const CLICK = 4;

/**
 * Let a drag across *target* choose a range: *during*(from, to) and at the end *done*(from, to) get
 * shares of its width, 0 to 1. A press that hardly moves is a click: *click*(share).
 */
export function dragRange(target, {during, done, click = () => {}, cancel = () => {}}) {
  const share = (event, box) => Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  target.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    down.preventDefault();
    const box = target.getBoundingClientRect();
    const first = share(down, box);
    target.setPointerCapture(down.pointerId);
    const range = (event) => [first, share(event, box)].sort((a, b) => a - b);
    const moved = (event) => Math.abs(event.clientX - down.clientX) >= CLICK;
    const stop = followPointer(target, {
      move: (event) => moved(event) && during(...range(event)),
      up(event) {
        stop();
        if (moved(event)) done(...range(event));
        else {
          cancel();
          click(first);
        }
      },
      cancel() {
        stop();
        cancel();
      },
    });
  });
}

function followPointer(target, {move, up, cancel}) {
  const handlers = [["pointermove", move], ["pointerup", up], ["pointercancel", cancel]];
  for (const [name, handler] of handlers) target.addEventListener(name, handler);
  return () => handlers.forEach(([name, handler]) => target.removeEventListener(name, handler));
}

/**
 * Return the border that resizes what lies before or after it, by pointer and by arrow keys:
 * *size*() is the present width in pixels, *resize*(pixels) sets it, *sign* is -1 where dragging to
 * the left makes it wider.
 */
export function splitter({label, size, resize, sign = 1}) {
  const handle = el("div", {class: "splitter", role: "separator", tabindex: "0",
    "aria-orientation": "vertical", "aria-label": label, "aria-valuemin": "0", "aria-valuenow": "0"});
  const say = () => {
    handle.setAttribute("aria-valuemax", String(window.innerWidth));
    handle.setAttribute("aria-valuenow", String(Math.round(size())));
  };
  const wide = (pixels) => {
    resize(pixels);
    say();
  };
  handle.addEventListener("focus", say);
  requestAnimationFrame(say);
  handle.addEventListener("pointerdown", (down) => {
    down.preventDefault();
    handle.setPointerCapture(down.pointerId);
    const before = size();
    const stop = followPointer(handle, {
      move: (event) => wide(before + sign * (event.clientX - down.clientX)),
      up: () => stop(),
      cancel: () => stop(),
    });
  });
  handle.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -20, ArrowRight: 20}[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    wide(size() + step * sign);
  });
  return handle;
}
