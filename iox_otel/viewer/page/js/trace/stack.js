// Exceptions: what was raised, and its stack with the frames set apart.

import {el} from "../dom.js";
import {copyButton} from "./copy.js";

const TYPE = ["exception.type", "error.kind"];
const MESSAGE = ["exception.message", "message"];
const STACK = ["exception.stacktrace", "stack"];
/** Frames of Python, Java and JavaScript, Go, Rust, .NET and Ruby. */
const FRAME = /^\s*(File "|at |from |\d+: |.+\.(go|rs|rb|py|js|ts):\d+)/;
const LIBRARY = /site-packages|dist-packages|node_modules|\/lib\/python|importlib|java\.base\/|\/\.cargo\/|\/usr\/local\/go\//;

/** What *event* says of an exception, `{type, message, stack}`, or null if it is none. */
export function exceptionOf(event) {
  const first = (keys) => {
    for (const key of keys) {
      const pair = event.attributes.find(([name, type]) => name === key && type === "string");
      if (pair) return pair[2];
    }
    return "";
  };
  const stack = first(STACK);
  if (event.name !== "exception" && !stack) return null;
  return {type: first(TYPE), message: first(MESSAGE), stack};
}

/** The keys that `exceptionView` shows already. */
export const shownAlready = (key) => [...TYPE, ...MESSAGE, ...STACK].includes(key);

/** The exception with its stack, a line each; those of libraries step back. */
export function exceptionView({type, message, stack}) {
  const said = el("span", {}, el("strong", {}, type || "exception"), message ? `: ${message}` : "");
  const head = el("div", {class: "exception-head"}, said,
    stack && copyButton("Copy the stack", () => stack, "Copy stack"));
  if (!stack) return el("div", {class: "exception"}, head);
  const lines = el("pre", {class: "stack", tabindex: "0", "aria-label": "Stack"});
  let library = false;
  for (const line of stack.replace(/\n$/, "").split("\n")) {
    const frame = FRAME.test(line);
    if (frame || /^\S/.test(line)) library = LIBRARY.test(line);
    const kind = frame ? "stack-frame" : /^\S/.test(line) ? "stack-head" : "stack-code";
    lines.append(el("span", {class: library ? `${kind} stack-library` : kind}, line), "\n");
  }
  return el("div", {class: "exception"}, head, lines);
}
