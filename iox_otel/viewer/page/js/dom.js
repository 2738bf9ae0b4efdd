// Elements from plain values. Text goes in as text only: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element: el("td", {class: "number", on: {click}}, "12", child).
 *
 * Attributes: null, undefined and false are left out, true is an empty value; `on` has listeners,
 * `style` CSS properties (custom ones too), `value`, `checked`, `disabled`, `indeterminate` and
 * `open` are set as properties. Children: nodes, texts, numbers, arrays of these; null, undefined
 * and false are left out. The attributes may be left out.
 */
export function el(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for an SVG element. */
export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Replace what *parent* has by *children*. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "indeterminate", "open", "selected"]);

function filled(element, attributes, children) {
  if (isAttributes(attributes)) set(element, attributes);
  else children.unshift(attributes);
  element.append(...nodes(children));
  return element;
}

const isAttributes = (thing) =>
  thing !== null && typeof thing === "object" && !(thing instanceof Node) && !Array.isArray(thing);

/** Set attributes as `el` does; a false one is taken away. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") listen(element, value);
    else if (name === "style") style(element, value);
    else if (PROPERTIES.has(name)) element[name] = value ?? "";
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }
}

function listen(element, listeners) {
  for (const [type, listener] of Object.entries(listeners)) element.addEventListener(type, listener);
}

/** Set CSS properties; through the object model, which a strict style-src allows. */
export function style(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}

function nodes(children) {
  return children.flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Put *text* on the clipboard and say so on *button*; also where the page is not served securely. */
export async function copy(text, button) {
  const said = button.textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyBySelection(text);
  }
  button.textContent = done ? "copied" : "select it by hand";
  setTimeout(() => { button.textContent = said; }, 1200);
}

function copyBySelection(text) {
  const area = el("textarea", {class: "unseen", readonly: true, value: text});
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  const focused = document.activeElement;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

/** A button that copies what *text* (a text, or a function that gives one) is. */
export function copyButton(text, label = "copy") {
  const button = el("button", {type: "button", class: "plain copy"}, label);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    copy(typeof text === "function" ? text() : text, button);
  });
  return button;
}
