// The search: its form, what was found as a diagram and as a list, live.

import * as api from "../api.js";
import {distinguish} from "../colours.js";
import {el, fill, set} from "../dom.js";
import {counted, line} from "../format.js";
import {uploadButton} from "../upload.js";
import {nothingFits, nothingYet} from "./empty.js";
import {Feed} from "./feed.js";
import {Form} from "./form.js";
import {List} from "./list.js";
import {limitOf, mistakes, sorted} from "./query.js";
import {Scatter} from "./scatter.js";

export const sheets = ["css/search.css"];

const TICK_MS = 5000;

export function open(container, state, app) {
  return new SearchView(container, state, app);
}

class SearchView {
  #app;
  #params;
  #feed;
  #form = new Form((changes) => this.#app.setParams(changes));
  #list;
  #scatter;
  #said = el("h1", {class: "said"}, "Search");
  #live = el("button", {type: "button", class: "live", on: {click: () => this.#turn()}});
  #compare = el("button", {type: "button", disabled: true, on: {click: () => this.#goCompare()}}, "Compare");
  #content = el("div", {class: "results-body"});
  #results = [];
  #services = new Set();
  #ends = [];

  constructor(container, state, app) {
    this.#app = app;
    this.#list = new List(app, {
      sort: (sort) => app.setParams({sort: sort === "-start" ? null : sort}, {replace: true}),
      pick: (ids) => this.#pick(ids),
      hover: (id) => this.#scatter.hover(id),
    });
    this.#scatter = new Scatter(app, {hover: (id) => this.#list.hover(id), range: (from, to) => this.#zoom(from, to)});
    this.#results = [this.#scatter.element, this.#list.element];
    fill(container, this.#form.element, el("section", {class: "results", "aria-label": "Traces found"},
      el("div", {class: "toolbar"}, this.#said, this.#compare, this.#live, uploadButton(app)), this.#content));
    this.#feed = new Feed(app, {change: () => this.#show()});
    const timer = setInterval(() => this.#list.tick(), TICK_MS);
    this.#ends = [() => clearInterval(timer), () => this.#feed.close(), app.status.onChange(() => this.#feed.rows.length || this.#show()),
      app.live.on("state", () => this.#showLive())];
    this.keys = this.#keys();
    this.update(state);
    this.#loadServices();
  }

  update({params}) {
    const before = this.#params;
    this.#params = params;
    this.#form.show(params);
    this.#list.showPicked(params.getAll("pick").slice(-2));
    set(this.#compare, {disabled: this.#list.picked.length !== 2});
    if (before && same(before, params)) return this.#show();
    const wrong = mistakes(params);
    this.#form.blame(wrong);
    this.#app.title(params.get("service") ? `${line(params.get("service"), 60)} traces` : "Search");
    if (Object.keys(wrong).length) this.#feed.hold(new Error("Something in the form cannot be read; it says what."), params);
    else this.#feed.follow(params);
  }

  close() {
    for (const end of this.#ends) end();
  }

  #show() {
    const {rows, error, isWaiting, isHeld} = this.#feed;
    this.#showLive();
    this.#said.textContent = this.#summary();
    set(this.#content, {"aria-busy": isWaiting ? "true" : null});
    if (error) return this.#instead(`error ${error.message}`, () => el("p", {class: "notice error", role: "alert"}, error.message,
      isHeld ? null : el("button", {type: "button", on: {click: () => this.#feed.follow(this.#params)}}, "Try again")));
    if (isWaiting && !rows.length) return;
    if (!rows.length) return this.#showNothing();
    this.#learn(rows);
    // From the oldest on, so that what comes changes no colour of what is there.
    distinguish([...rows].reverse().flatMap((row) => [row.service, ...Object.keys(row.services)]));
    if (this.#content.dataset.shows !== "rows") fill(this.#content, this.#results);
    this.#content.dataset.shows = "rows";
    this.#scatter.show(rows);
    this.#list.show(sorted(rows, this.#params), this.#params);
  }

  #showNothing() {
    const status = this.#app.status.now;
    if (!status) return;
    const isFirst = !status.traces.kept && !status.traces.seen;
    const key = isFirst ? `first ${JSON.stringify(status.intake)}` : `none ${this.#params} ${status.traces.kept < status.traces.seen}`;
    this.#instead(key, () => (isFirst ? nothingYet(status) : nothingFits(this.#params, status, this.#app)));
  }

  // Made anew only if it is another: what is being copied from it stays as it is.
  #instead(key, make) {
    if (this.#content.dataset.shows !== key) fill(this.#content, make());
    this.#content.dataset.shows = key;
  }

  #summary() {
    const {rows, error, isWaiting, isLimited} = this.#feed;
    if (error) return "No result";
    if (isWaiting && !rows.length) return "Searching…";
    return isLimited ? `The newest ${counted(rows.length, "trace")}` : counted(rows.length, "trace");
  }

  #showLive() {
    const {isPaused, missed} = this.#feed;
    const isOpen = this.#app.live.isOpen && this.#feed.isOpen;
    const text = isPaused ? (missed ? `Paused · ${missed} new` : "Paused") : (isOpen ? "Live" : "Not live");
    const why = this.#feed.isOpen ? "The viewer does not answer; the list goes on once it does" : "Nothing new can come into this search";
    fill(this.#live, el("span", {class: "dot", "aria-hidden": "true"}), text);
    set(this.#live, {"data-state": isPaused ? "paused" : isOpen ? "live" : "off", "aria-pressed": String(!isPaused),
      title: isPaused ? "Show new traces as they arrive (p)" : isOpen ? "Hold the list still (p)" : why, "aria-label": `Live: ${text}`});
  }

  #turn() {
    this.#feed.pause(!this.#feed.isPaused);
  }

  #pick(ids) {
    set(this.#compare, {disabled: ids.length !== 2});
    this.#params.delete("pick");
    for (const id of ids) this.#params.append("pick", id);
    this.#app.setParams({pick: ids}, {replace: true, quiet: true});
  }

  #goCompare() {
    const [a, b] = this.#list.picked;
    if (b) this.#app.go(`compare?${new URLSearchParams({a, b})}`);
    else this.#app.toast("Choose two traces to compare: by their boxes, or with x.");
  }

  #zoom(from, to) {
    this.#app.setParams({start: String(Math.floor(from * 1000)), end: String(Math.ceil(to * 1000)), lookback: null});
  }

  // A service that was not known becomes a choice of the form.
  #learn(rows) {
    const unknown = rows.some((row) => Object.keys(row.services).some((service) => !this.#services.has(service)));
    if (unknown) this.#loadServices(rows);
  }

  async #loadServices(rows = []) {
    for (const row of rows) for (const service of Object.keys(row.services)) this.#services.add(service);
    try {
      const services = await api.services();
      for (const {name} of services) this.#services.add(name);
      this.#form.offer(services, this.#params);
    } catch {
      // The list says it: it asks the same server.
    }
  }

  #keys() {
    return [
      {keys: ["/"], text: "the form’s tags", run: () => this.#form.focus()},
      {keys: ["j", "ArrowDown"], text: "next trace", run: () => this.#list.move(1)},
      {keys: ["k", "ArrowUp"], text: "previous trace", run: () => this.#list.move(-1)},
      {keys: ["Enter"], text: "open it", run: () => false},
      {keys: ["x"], text: "choose it to compare", run: () => this.#list.pickFocused()},
      {keys: ["c"], text: "compare the two chosen", run: () => this.#goCompare()},
      {keys: ["p"], text: "hold the list still, or go on", run: () => this.#turn()},
      {keys: ["r"], text: "search again", run: () => this.#feed.follow(this.#params)},
    ];
  }
}

/** Whether two searches differ at most in how they are shown. */
function same(a, b) {
  const asked = (params) => [...params].filter(([name]) => name !== "sort" && name !== "pick").join("\n") + limitOf(params);
  return asked(a) === asked(b);
}
