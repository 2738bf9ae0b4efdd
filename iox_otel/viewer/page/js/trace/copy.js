// Buttons that copy, each with a name that says what.

import {copy, el} from "../dom.js";

/** A button that copies what *text*() gives; *label* says what that is, *shown* is written on it. */
export function copyButton(label, text, shown = "copy") {
  const button = el("button", {type: "button", class: "copy", "aria-label": label, title: label}, shown);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    copy(text(), button);
  });
  return button;
}
