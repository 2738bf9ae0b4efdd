// Which colour a service has: the same in every view, and after a reload. See css/colours.css.

import {el} from "./dom.js";
import {line} from "./format.js";

const COLOURS = 14;
const numbers = new Map();

/** The number of a service's colour: from its name, or the next free one if another took that. */
function numberOf(service) {
  let number = numbers.get(service);
  if (number === undefined) {
    number = hash(service) % COLOURS;
    const taken = new Set(numbers.values());
    if (taken.size < COLOURS) while (taken.has(number)) number = (number + 1) % COLOURS;
    numbers.set(service, number);
  }
  return number;
}

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

/** Give these services their colours first, in this order, so that collisions end alike. */
export function settle(services) {
  for (const service of services) numberOf(service);
}

/** The colour of a service as a CSS value that follows the theme: "var(--svc-3)". */
export const colourOf = (service) => `var(--svc-${numberOf(service)})`;

/** The same as properties for `el`: {"--svc": …}. */
export const tint = (service) => ({"--svc": colourOf(service)});

/** A service's name after a mark in its colour. */
export function serviceLabel(service, extra = null) {
  return el("span", {class: "service", style: tint(service)},
    el("span", {class: "swatch", "aria-hidden": "true"}), el("bdi", line(service || "(no name)", 120)), extra);
}
