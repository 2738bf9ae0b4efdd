// The service graph: who calls whom, and how often.

import * as api from "../api.js";
import {distinguish} from "../colours.js";
import {el, fill, set, svg} from "../dom.js";
import {counted, parseDuration} from "../format.js";
import {LOOKBACKS} from "../search/query.js";
import {drawn, emphasise} from "./draw.js";
import {layout} from "./layout.js";
import {CallTable} from "./table.js";
import {Zoom} from "./zoom.js";

export const sheets = ["css/graph.css"];

const AHEAD_MS = 3_600_000;
const LEAST_WAIT_MS = 3000;

export function open(container, state, app) {
  return new GraphView(container, state, app);
}

class GraphView {
  #app;
  #params;
  #asking = null;
  #again = null;
  #isLate = false;
  #tookMs = 0;
  #known = "";
  #names = [];
  #calls = [];
  #content = svg("g");
  #drawing = svg("svg", {class: "graph", role: "group", "aria-label": "Service graph"}, this.#content);
  #zoom = new Zoom(this.#drawing, this.#content);
  #table;
  #lookback = el("select", {name: "lookback", "aria-label": "Time"}, LOOKBACKS.map(([value, text]) => el("option", {value}, text)));
  #views = ["graph", "table"].map((view) => el("button", {type: "button", "data-view": view,
    on: {click: () => this.#app.setParams({view: view === "graph" ? null : view}, {replace: true})}}, view === "graph" ? "Graph" : "Table"));
  #zooms = el("div", {class: "buttons", role: "group", "aria-label": "Zoom"},
    zoomButton("−", "Zoom out (-)", () => this.#zoom.by(-1)), zoomButton("Fit", "Show all (0)", () => this.#zoom.fit()),
    zoomButton("+", "Zoom in (+)", () => this.#zoom.by(1)));
  #said = el("h1", {class: "said"}, "Service graph");
  #body = el("div", {class: "graph-body"});
  #ends;

  constructor(container, state, app) {
    this.#app = app;
    this.#table = new CallTable(app, (sort) => app.setParams({sort}, {replace: true}));
    this.#lookback.addEventListener("change", () => app.setParams({lookback: this.#lookback.value}));
    for (const [type, of] of [["mouseover", nodeOf], ["mouseleave", () => null], ["focusin", nodeOf], ["focusout", () => null]]) {
      this.#drawing.addEventListener(type, (event) => emphasise(this.#drawing, of(event)));
    }
    this.#drawing.addEventListener("focusin", ({target}) => target.matches(":focus-visible") && this.#zoom.reveal(target));
    fill(container, el("div", {class: "toolbar"}, this.#said, el("label", {class: "time"}, "Time", this.#lookback),
      el("div", {class: "buttons", role: "group", "aria-label": "View"}, this.#views),
      this.#zooms), this.#body);
    this.#ends = [app.live.on("trace", () => this.#askSoon()), app.live.on("open", () => this.#askSoon())];
    this.keys = [
      {keys: ["+", "="], text: "zoom in", run: () => this.#zoom.by(1)},
      {keys: ["-"], text: "zoom out", run: () => this.#zoom.by(-1)},
      {keys: ["0"], text: "show all", run: () => this.#zoom.fit()},
      {keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], text: "move", run: (event) => this.#pan(event.key)},
      {keys: ["t"], text: "graph or table", run: () => this.#views.find((view) => view.ariaPressed !== "true").click()},
    ];
    this.update(state);
  }

  update({params}) {
    const before = this.#params;
    this.#params = params;
    this.#lookback.value = params.get("lookback") ?? "";
    for (const view of this.#views) set(view, {"aria-pressed": String((params.get("view") ?? "graph") === view.dataset.view)});
    if (before && (before.get("lookback") ?? "") === (params.get("lookback") ?? "")) return this.#show();
    this.#known = "";
    this.#ask();
  }

  close() {
    for (const end of this.#ends) end();
    this.#asking?.abort();
    clearTimeout(this.#again);
    this.#zoom.close();
  }

  async #ask() {
    clearTimeout(this.#again);
    this.#again = null;
    this.#asking?.abort();
    const {signal} = this.#asking = new AbortController();
    const began = performance.now();
    try {
      const [services, calls] = await Promise.all([api.services({signal}), api.dependencies(this.#range(), {signal})]);
      this.#tookMs = performance.now() - began;
      this.#take(services.map(({name}) => name), calls);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#known = "";
      this.#said.textContent = "Service graph";
      fill(this.#body, el("p", {class: "notice error", role: "alert"}, error.message,
        el("button", {type: "button", on: {click: () => this.#ask()}}, "Try again")));
    }
    this.#asking = null;
    if (this.#isLate) this.#askSoon();
  }

  // Counting calls takes the server a while when there are many spans: a twentieth of the time at most.
  #askSoon() {
    // What comes while an answer is on its way may not be in it.
    this.#isLate = this.#asking !== null;
    if (this.#again || this.#isLate) return;
    this.#again = setTimeout(() => this.#ask(), Math.max(LEAST_WAIT_MS, 19 * this.#tookMs));
  }

  #range() {
    const endTs = Date.now() + AHEAD_MS;
    const lookback = parseDuration(this.#params.get("lookback") ?? "");
    return {endTs: String(endTs), lookback: String(lookback === null ? endTs : Math.round(lookback / 1e6) + AHEAD_MS)};
  }

  #take(services, calls) {
    const known = JSON.stringify([services, calls]);
    if (known === this.#known) return;
    this.#known = known;
    this.#calls = calls;
    this.#names = [...new Set([...services, ...calls.flatMap(({parent, child}) => [parent, child])])].sort();
    distinguish(this.#names);
    this.#draw();
    this.#show();
  }

  #draw() {
    const focused = document.activeElement?.closest?.(".node")?.dataset.name;
    const made = layout(this.#names, this.#calls);
    fill(this.#content, drawn(made, this.#app));
    this.#zoom.bound(made);
    if (focused !== undefined) [...this.#content.querySelectorAll(".node")].find((node) => node.dataset.name === focused)?.focus();
  }

  #show() {
    if (!this.#known) return;
    const isTable = this.#params.get("view") === "table";
    set(this.#zooms, {hidden: isTable || !this.#names.length});
    const calls = this.#calls.reduce((total, call) => total + call.callCount, 0);
    this.#said.textContent = `${counted(this.#names.length, "service")}, ${counted(calls, "call")}`;
    const content = this.#names.length ? (isTable ? this.#table.element : this.#drawing) : this.#nothing();
    if (isTable) this.#table.show(this.#calls, this.#params.get("sort"));
    if (this.#body.firstChild !== content) fill(this.#body, content);
  }

  #nothing() {
    return el("div", {class: "page-narrow"}, el("h2", "No services yet"),
      el("p", "Services and their calls appear here as traces arrive. ", this.#app.link("search", "The search says how to send some.")));
  }

  #pan(key) {
    const [right, down] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[key];
    this.#zoom.pan(right, down);
  }
}

const nodeOf = (event) => event.target.closest?.(".node")?.dataset.name ?? null;

const zoomButton = (text, title, act) => el("button", {type: "button", title, "aria-label": title, on: {click: act}}, text);
