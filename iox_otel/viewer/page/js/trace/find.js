// The bar over a trace: find, hide what is short, go from error to error, fold the tree.

import {el} from "../dom.js";
import {count, counted, exactDuration, parseDuration} from "../format.js";

/**
 * Return the bar. *on* is told of `find(text)`, `only(bool)`, `shortest(ns)`, `step(±1)`,
 * `error(±1)` and `fold("all" | "less" | "more" | "none")`.
 */
export function createFindBar(on, {query, only, shortest}) {
  const input = el("input", {type: "search", class: "find-text", placeholder: "Find: name, key, value, id",
    "aria-label": "Find in this trace", spellcheck: "false", autocomplete: "off", value: query});
  const said = el("output", {class: "find-count", "aria-live": "polite"});
  const filter = el("input", {type: "checkbox"});
  const short = el("input", {type: "text", class: "find-short", placeholder: "1ms", size: "6",
    "aria-label": "Hide spans shorter than", spellcheck: "false", value: shortText(shortest)});
  const errors = el("span", {class: "find-errors"});
  const hidden = el("output", {class: "find-hidden"});
  filter.checked = only;
  input.addEventListener("input", () => on.find(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    on.step(event.shiftKey ? -1 : 1);
  });
  filter.addEventListener("change", () => on.only(filter.checked));
  short.addEventListener("input", () => tellShortest(short, on));
  const steps = [button("‹", "Previous match (N)", () => on.step(-1)), button("›", "Next match (n)", () => on.step(1))];
  const toErrors = [button("‹", "Previous error (E)", () => on.error(-1)), button("›", "Next error (e)", () => on.error(1))];
  const root = el("div", {class: "find", role: "search"},
    el("span", {class: "group"}, el("span", {class: "find-field"}, input, said), ...steps,
      el("label", {class: "check of-rows"}, filter, "matches only")),
    el("span", {class: "group of-rows"}, el("label", {}, "hide shorter than ", short), hidden),
    el("span", {class: "group errors"}, errors, ...toErrors),
    el("span", {class: "buttons fold of-rows"},
      button("Collapse all", "Collapse all", () => on.fold("all")),
      button("−", "Collapse one level ([)", () => on.fold("less")),
      button("+", "Expand one level (])", () => on.fold("more")),
      button("Expand all", "Expand all", () => on.fold("none"))));
  return {
    root,
    focus() {
      input.focus();
      input.select();
    },
    /** Write what *session* says into the fields. */
    set(session) {
      input.value = session.query;
      filter.checked = session.only;
      short.value = shortText(session.shortest);
    },
    hasFocus: () => document.activeElement === input,
    /** Empty the text; return whether there was any. */
    clear() {
      const had = input.value !== "";
      input.value = "";
      return had;
    },
    show({matches, at, errors: failed, hidden: out, query: text}) {
      said.textContent = text.trim() ? (matches ? placeText(at, matches) : "nothing") : "";
      root.classList.toggle("finds-nothing", Boolean(text.trim()) && !matches);
      for (const each of steps) each.disabled = !matches;
      for (const each of toErrors) each.disabled = !failed;
      errors.textContent = counted(failed, "error");
      errors.classList.toggle("has-errors", failed > 0);
      hidden.textContent = out ? `${count(out)} hidden` : "";
    },
  };
}

const placeText = (at, matches) => (at ? `${count(at)} of ${count(matches)}` : `${count(matches)} found`);
const shortText = (ns) => (ns ? exactDuration(ns) : "");

function tellShortest(field, on) {
  const text = field.value.trim();
  const ns = text ? parseDuration(text) : 0;
  field.setAttribute("aria-invalid", String(ns === null));
  if (ns !== null) on.shortest(ns);
}

function button(text, label, act) {
  const made = el("button", {type: "button", "aria-label": label, title: label}, text);
  made.addEventListener("click", act);
  return made;
}
