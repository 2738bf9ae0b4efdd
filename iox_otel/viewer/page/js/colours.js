// Which colour a service has. See css/colours.css.
//
// Its name says which, so that no other service changes it, and a reload does not. Of two services
// that would have the same one within one view, the later one has another there.

import {el} from "./dom.js";
import {line} from "./format.js";

const COLOURS = 12;
const given = new Map();

/** The numbers of the colours that a service wishes to have, the first one first. */
function wishes(service) {
  const value = hash(service);
  // Neighbours are alike, so that the next wish is far away; 5 and 7 come by all twelve.
  const step = value & 16 ? 5 : 7;
  return Array.from({length: COLOURS}, (_, turn) => ((value >>> 8) + turn * step) % COLOURS);
}

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

/**
 * Tell these services, of all that a view shows, from each other, as long as there are colours. Who
 * has one by an earlier call keeps it; of the others the first ones get their own.
 */
export function distinguish(services) {
  const shown = new Set(services);
  for (const service of given.keys()) if (!shown.has(service)) given.delete(service);
  const taken = new Set(given.values());
  for (const service of shown) {
    if (given.has(service)) continue;
    const wanted = wishes(service);
    const number = wanted.find((each) => !taken.has(each)) ?? wanted[0];
    taken.add(number);
    given.set(service, number);
  }
}

/** The colour of a service as a CSS value that follows the theme: "var(--svc-3)". */
export const colourOf = (service) => `var(--svc-${given.get(service) ?? wishes(service)[0]})`;

/** The same as properties for `el`: {"--svc": …}. */
export const tint = (service) => ({"--svc": colourOf(service)});

/** A service's name after a mark in its colour. */
export function serviceLabel(service, extra = null) {
  return el("span", {class: "service", style: tint(service)},
    el("span", {class: "swatch", "aria-hidden": "true"}), el("bdi", line(service || "(no name)", 120)), extra);
}
