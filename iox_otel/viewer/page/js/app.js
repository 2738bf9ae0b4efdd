// The page: which view the address asks for, and what every view is given.
//
// The address is the state. `<base href>` in index.html says where the page is mounted (the server
// writes it); every other address, here and in the views, is relative to it.
//
// A view is a module that exports
//
//     open(container, state, app) → view
//
// `container` is an empty element that fills the window below the header and scrolls what does not
// fit; a view that scrolls by itself fits in (height: 100%). `state` is {route, id, params}: "trace",
// the id after "trace/" or "", and URLSearchParams. The module may also export `sheets`, names of
// style sheets ("css/trace.css") that are there before `open` is called. `open` returns at once: that
// it waits for something, and its errors, the view shows by itself. It returns an object with
//
//     close()           when another view, or another id, takes its place: end timers, listeners, fetches
//     keys              (may be absent) its keys, see keys.js; read once, after `open`
//     update(state)     (may be absent) only `params` changed, by a link, back or forward, or
//                       `app.setParams`; without it the view is closed and opened again
//
// `app` is the App below: links and state (`href`, `link`, `svgLink`, `go`, `setParams`), `title`,
// `announce`, `toast`, `keys`, `live` (see live.js), `status` (see status.js). What the server is
// asked goes through api.js. Plain links within the page are followed without loading it anew.

import * as api from "./api.js";
import {distinguish} from "./colours.js";
import {el, fill, svg} from "./dom.js";
import {Header} from "./header.js";
import {Keys} from "./keys.js";
import {Live} from "./live.js";
import {Status} from "./status.js";
import {takeDrops} from "./upload.js";

const ROUTES = {
  search: {title: "Search", load: () => import("./search/view.js")},
  trace: {title: "Trace", load: () => import("./trace/view.js"), hasId: true},
  compare: {title: "Compare", load: () => import("./compare/view.js")},
  graph: {title: "Service graph", load: () => import("./graph/view.js")},
};
const TOAST_MS = 8000;

class App {
  keys = new Keys();
  live = new Live(api.url("api/viewer/stream"));
  status = new Status(this.live);
  #base = new URL(document.baseURI).pathname;
  #main = document.getElementById("main");
  #header = new Header(document.getElementById("header"), this);
  #view = null;
  #shown = null;
  #turn = 0;

  start() {
    this.keys.start();
    this.status.start(document.getElementById("banner"));
    this.live.start();
    takeDrops(this);
    window.addEventListener("popstate", () => this.#follow());
    document.addEventListener("click", (event) => this.#click(event));
    this.#follow();
  }

  /** The address of *path* ("trace/ab…?span=…") under the page's base. */
  href(path) {
    return new URL(path, document.baseURI).href;
  }

  /** A link to *path*, with attributes as for `el` if the first child is an object. */
  link(path, attributes, ...children) {
    const link = el("a", attributes, ...children);
    link.href = this.href(path);
    return link;
  }

  /** The same within a diagram. */
  svgLink(path, attributes, ...children) {
    return svg("a", {...attributes, href: this.href(path)}, ...children);
  }

  /** Show *path*; with `replace`, in place of this entry of the history. */
  go(path, {replace = false} = {}) {
    const method = replace ? "replaceState" : "pushState";
    history[method](null, "", this.href(path));
    this.#follow();
  }

  /**
   * Change parameters of this address: null or "" takes one away, an array gives several of a name.
   * `quiet`: the view knows already, do not call its `update`.
   */
  setParams(changes, {replace = false, quiet = false} = {}) {
    const here = this.#parse();
    for (const [name, value] of Object.entries(changes)) {
      here.params.delete(name);
      for (const each of [value].flat()) {
        if (each !== null && each !== undefined && each !== "") here.params.append(name, each);
      }
    }
    const query = here.params.toString();
    const address = `${location.pathname}${query ? `?${query}` : ""}`;
    history[replace ? "replaceState" : "pushState"](null, "", address);
    if (quiet) this.#shown = {...here};
    else this.#follow();
  }

  /** What the window and the history call this page. */
  title(text) {
    document.title = `${text} · iox-otel viewer`;
  }

  /** Have *text* read out. */
  announce(text) {
    document.getElementById("announcer").textContent = text;
  }

  /** Show *text* for some seconds; *kind* is "", "warn" or "error". */
  toast(text, kind = "") {
    document.querySelector(".toast")?.remove();
    const toast = el("p", {class: `notice toast ${kind}`, role: kind === "error" ? "alert" : "status"}, text);
    document.body.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  #parse() {
    const path = location.pathname.startsWith(this.#base) ? location.pathname.slice(this.#base.length) : "";
    const [route, ...rest] = path.split("/");
    return {route: route || "search", id: decoded(rest.join("/")), params: new URLSearchParams(location.search)};
  }

  async #follow() {
    const state = this.#parse();
    const shown = this.#shown;
    const turn = ++this.#turn;
    this.#shown = state;
    this.#header.follow(state);
    const same = shown && shown.route === state.route && shown.id === state.id;
    if (same && this.#view?.update) return this.#view.update(state);
    this.#close();
    const route = Object.hasOwn(ROUTES, state.route) ? ROUTES[state.route] : null;
    if (!route || Boolean(state.id) !== Boolean(route.hasId)) return this.#show(nothingHere(this));
    this.title(route.title);
    await this.#open(route, state, turn);
    if (shown && !same && turn === this.#turn) this.#main.focus({preventScroll: true});
  }

  async #open(route, state, turn) {
    try {
      const module = await route.load();
      await Promise.all((module.sheets ?? []).map(styleSheet));
      if (turn !== this.#turn) return;
      const container = el("div", {class: `view view-${state.route}`});
      this.#show(container);
      this.#view = module.open(container, state, this);
      this.keys.set(route.title, this.#view.keys ?? null);
    } catch (error) {
      console.error(error);
      if (turn === this.#turn) this.#show(broken(error));
    }
  }

  #close() {
    this.#view?.close();
    this.#view = null;
    distinguish([]);
    for (const {title} of Object.values(ROUTES)) this.keys.set(title, null);
  }

  #show(content) {
    fill(this.#main, content);
    this.#main.scrollTop = 0;
  }

  #click(event) {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("a[href]");
    const href = link?.href?.baseVal ?? link?.href;
    if (!href || link.target || link.hasAttribute("download")) return;
    if (link.classList.contains("skip")) return this.#skip(event);
    const address = new URL(href, document.baseURI);
    if (address.hash || !this.#isPage(address)) return;
    event.preventDefault();
    this.go(address.href);
  }

  // "#main" alone would lead to the page's base.
  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }

  #isPage(address) {
    if (address.origin !== location.origin || !address.pathname.startsWith(this.#base)) return false;
    const [route] = address.pathname.slice(this.#base.length).split("/");
    return route === "" || Object.hasOwn(ROUTES, route);
  }
}

const sheets = new Map();

/** Load a style sheet once; settles when it is there, or will not be. */
function styleSheet(name) {
  if (!sheets.has(name)) {
    sheets.set(name, new Promise((settled) => {
      const {href} = new URL(`../${name}`, import.meta.url);
      document.head.append(el("link", {rel: "stylesheet", href, on: {load: settled, error: settled}}));
    }));
  }
  return sheets.get(name);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const nothingHere = (app) => el("div", {class: "page-narrow"},
  el("h1", "There is no such page"), el("p", app.link("search", "Search for traces")));

const broken = (error) => el("div", {class: "page-narrow"},
  el("p", {class: "notice error", role: "alert"}, `This view could not be shown: ${error.message}`));

new App().start();
