// The keyboard: what is pressed, what it does here, and the help that lists it.

import {el} from "./dom.js";

const SHOWN = {ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", " ": "Space"};
const TYPED_IN = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]";
const PRESSED = "a[href], button, summary, input, select, textarea";

/**
 * The keys of the page. A key: {keys: ["j", "ArrowDown"], text: "next trace", run(event)}; `keys`
 * are values of KeyboardEvent.key. It is left to the browser if `run` returns false, if Ctrl, Alt or
 * Meta is held, if a text is being typed (unless `whileTyping`), and Enter and Space also where they
 * press what has the focus. The first one that fits runs: the view's come before the page's.
 */
export class Keys {
  #groups = new Map();

  start() {
    document.addEventListener("keydown", (event) => this.#press(event));
    this.set("Everywhere", [
      {keys: ["?"], text: "this help", run: () => this.help()},
      {keys: ["Escape"], text: "leave a field", whileTyping: true, run: leave},
    ]);
  }

  /** Let *title* have these keys, instead of those it had; none takes the group away. */
  set(title, keys) {
    this.#groups.delete(title);
    if (keys?.length) this.#groups.set(title, keys);
  }

  #press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.matches?.(TYPED_IN) ?? false;
    const presses = ["Enter", " "].includes(event.key) && event.target.matches?.(PRESSED);
    for (const key of [...this.#groups.values()].reverse().flat()) {
      if (!key.keys.includes(event.key) || presses || (typing && !key.whileTyping)) continue;
      if (key.run(event) === false) continue;
      event.preventDefault();
      return;
    }
  }

  /** Show all keys in a dialog. */
  help() {
    const close = el("button", {type: "button", class: "plain", "aria-label": "Close"}, "✕");
    const dialog = el("dialog", {class: "help", "aria-label": "Keyboard"},
      el("div", {class: "top"}, el("h1", "Keyboard"), close),
      [...this.#groups].reverse().map(([title, keys]) => [el("h2", title), el("dl", keys.map(listed))]));
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
}

const listed = (key) => [
  el("dt", key.keys.map((name) => el("kbd", SHOWN[name] ?? name))),
  el("dd", key.text),
];

function leave(event) {
  if (!event.target.matches?.(TYPED_IN)) return false;
  event.target.blur();
  return true;
}
