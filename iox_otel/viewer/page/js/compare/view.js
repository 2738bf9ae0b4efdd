// Two traces side by side: what each is, and where their spans differ.

import * as api from "../api.js";
import {distinguish, serviceLabel} from "../colours.js";
import {el, fill, set} from "../dom.js";
import {count, counted, dateTime, duration, line} from "../format.js";
import {traceIdIn} from "../header.js";
import {modelOf} from "../trace/model.js";
import {merged} from "./merge.js";
import {Tree} from "./tree.js";

export const sheets = ["css/compare.css"];

export function open(container, state, app) {
  return new CompareView(container, state, app);
}

class CompareView {
  #app;
  #asking = null;
  #ids = "";
  #places = [];
  #fields = {a: idField("a", "A"), b: idField("b", "B")};
  #cards = {a: el("section", {class: "card of-a", "aria-label": "Trace A"}), b: el("section", {class: "card of-b", "aria-label": "Trace B"})};
  #folded = "";
  #tree = new Tree((folded) => this.#fold(folded));
  #only = el("input", {type: "checkbox", name: "differences"});
  #said = el("span", {class: "dim", role: "status"});
  #content = el("div", {class: "compared"});

  constructor(container, state, app) {
    this.#app = app;
    this.#only.addEventListener("change", () => app.setParams({differences: this.#only.checked ? "1" : null}, {replace: true}));
    fill(container,
      el("form", {class: "compare-form", on: {submit: (event) => this.#submit(event)}},
        el("label", el("b", {class: "letter of-a"}, "A"), this.#fields.a),
        el("button", {type: "button", title: "Swap A and B (s)", "aria-label": "Swap A and B", on: {click: () => this.#swap()}}, "⇄"),
        el("label", el("b", {class: "letter of-b"}, "B"), this.#fields.b),
        el("button", {class: "primary"}, "Compare")),
      this.#content);
    this.keys = [
      {keys: ["j", "ArrowDown"], text: "next row", run: () => this.#tree.move(1)},
      {keys: ["k", "ArrowUp"], text: "previous row", run: () => this.#tree.move(-1)},
      {keys: ["Enter"], text: "collapse or expand it", run: () => false},
      {keys: ["["], text: "collapse all", run: () => this.#tree.turnAll(true)},
      {keys: ["]"], text: "expand all", run: () => this.#tree.turnAll(false)},
      {keys: ["d"], text: "differences only, or all", run: () => this.#only.click()},
      {keys: ["s"], text: "swap A and B", run: () => this.#swap()},
    ];
    this.update(state);
  }

  update({params}) {
    const [a, b] = ["a", "b"].map((name) => params.get(name) ?? "");
    this.#only.checked = Boolean(params.get("differences"));
    this.#folded = params.get("folded") ?? "";
    const ids = `${a} ${b}`;
    if (ids === this.#ids && this.#places.length) return this.#tree.show(this.#places, this.#only.checked, this.#folded);
    this.#ids = ids;
    this.#fields.a.value = a;
    this.#fields.b.value = b;
    this.#places = [];
    if (a && b) this.#load(a, b);
    else this.#explain();
  }

  close() {
    this.#asking?.abort();
  }

  #explain() {
    this.#asking?.abort();
    fill(this.#content, el("div", {class: "page-narrow"}, el("h1", "Compare two traces"),
      el("p", "Choose two by their boxes in the ", this.#app.link("search", "search"), ", or put their ids in above. "
        + "Spans at the same path of services and operations are put side by side: how many, and how long they took together.")));
  }

  async #load(a, b) {
    this.#asking?.abort();
    const {signal} = this.#asking = new AbortController();
    fill(this.#content, el("p", {class: "page dim", role: "status"}, "Loading both…"));
    const [one, two] = await Promise.allSettled([a, b].map((id) => api.trace(traceIdIn(id) || id, {signal})));
    if (signal.aborted) return;
    const failed = [["A", one], ["B", two]].filter(([, each]) => each.status === "rejected");
    if (failed.length) return this.#fail(failed);
    this.#show({a: modelOf(one.value), b: modelOf(two.value)}, {a: one.value, b: two.value});
  }

  #fail(failed) {
    fill(this.#content, el("div", {class: "page"}, el("h1", "Nothing to compare"), failed.map(([letter, {reason}]) =>
      el("p", {class: "notice error", role: "alert"}, el("b", `Trace ${letter}: `), reason.message))));
  }

  #show(models, traces) {
    distinguish([...models.a.services.keys(), ...models.b.services.keys()]);
    for (const which of ["a", "b"]) fill(this.#cards[which], this.#card(which, models[which], traces[which]));
    this.#places = merged(models.a, models.b);
    this.#said.textContent = summary(this.#places);
    fill(this.#content, el("h1", {class: "unseen"}, "Two traces compared"), el("div", {class: "cards"}, this.#cards.a, this.#cards.b),
      el("div", {class: "compare-bar"}, el("label", {class: "check"}, this.#only, "Differences only"), this.#said), this.#tree.element);
    this.#tree.show(this.#places, this.#only.checked, this.#folded);
    this.#app.title("Compare");
  }

  #card(which, model, trace) {
    const {main, size, services} = model;
    const errors = model.errors.length;
    return [
      el("h2", el("b", {class: `letter of-${which}`}, which.toUpperCase()), serviceLabel(main.service), " ",
        this.#app.link(`trace/${trace.traceID}`, {class: "clip"}, el("bdi", line(main.name, 200) || "(no name)"))),
      el("p", el("strong", duration(trace.duration)), ` · ${counted(size, "span")} · `,
        errors ? el("span", {class: "bad"}, counted(errors, "error")) : "no errors", ` · ${dateTime(trace.startNs)}`),
      el("p", {class: "services"}, [...services].sort((x, y) => y[1] - x[1])
        .map(([service, number]) => serviceLabel(service, el("span", {class: "dim"}, ` ${count(number)}`)))),
    ];
  }

  #fold(folded) {
    this.#folded = folded;
    this.#app.setParams({folded}, {replace: true, quiet: true});
  }

  #submit(event) {
    event.preventDefault();
    const changes = {folded: null};
    for (const which of ["a", "b"]) {
      const field = this.#fields[which];
      changes[which] = traceIdIn(field.value);
      set(field, {"aria-invalid": changes[which] ? null : "true"});
    }
    if (changes.a && changes.b) this.#app.setParams(changes);
    else this.#app.toast("Both ids have 1 to 32 hexadecimal digits.", "error");
  }

  #swap() {
    const {a, b} = this.#fields;
    this.#app.setParams({a: b.value.trim(), b: a.value.trim(), folded: null});
  }
}

function summary(places) {
  const of = (wanted) => places.filter(({difference}) => difference === wanted).length;
  const parts = [["errors", "with more or fewer errors"], ["count", "with more or fewer spans"], ["only-a", "only in A"], ["only-b", "only in B"]];
  return [
    of("same") && `${counted(of("same"), "place")} alike`,
    places.some(({inB}) => inB) && "the roots named differently",
    ...parts.map(([difference, text]) => of(difference) && `${count(of(difference))} ${text}`),
  ].filter(Boolean).join(", ");
}

const idField = (name, letter) => el("input", {type: "text", name, class: "mono", placeholder: `id of trace ${letter}`,
  "aria-label": `Id of trace ${letter}`, autocomplete: "off", spellcheck: "false", maxlength: "400"});
