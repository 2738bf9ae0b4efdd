// The view of one trace, as the page opens it: asks the server, and joins the trace to the address.

import * as api from "../api.js";
import {el, fill} from "../dom.js";
import {counted, line} from "../format.js";
import {wholeIds} from "../header.js";
import {shortcutsOf} from "./shortcuts.js";

const PARAMETERS = ["view", "span", "zoom", "q", "only", "shortest", "folded", "sort", "flame"];

/** The modules of the page load while the trace is being fetched. */
const parts = import("./page.js");

export const sheets = ["css/trace.css"];

/** See js/app.js. */
export function open(container, state, app) {
  const ended = new AbortController();
  let page = null;
  let latest = state.params;
  const show = (json, showTrace) => {
    page?.close();
    page = showTrace(container, json, hostOf(json, () => latest, (kept) => { latest = kept; }, app));
    const {main} = page.trace;
    app.title(main ? line(`${main.service}: ${main.title}`, 80) : `Trace ${state.id}`);
  };
  const fetchIt = () => load(container, state.id, ended.signal, app, show);
  fetchIt();
  const endNews = app.live.on("trace", (row) => {
    if (row.traceID === page?.trace.traceID) offerMore(page, row.spans - page.trace.size, fetchIt);
  });
  return {
    keys: shortcutsOf(() => page),
    update({params}) {
      latest = params;
      page?.session.adopt(params);
    },
    close() {
      endNews();
      ended.abort();
      page?.close();
    },
  };
}

/** Say that spans came in since; they are shown when asked for, so that nothing moves by itself. */
function offerMore(page, more, show) {
  if (more <= 0) return;
  fill(page.news, el("button", {type: "button", on: {click: show}}, `Show ${counted(more, "more span")} that came in`));
}

async function load(container, id, signal, app, show) {
  if (!container.firstChild) fill(container, el("p", {class: "page-narrow dim", role: "status"}, "The trace is being fetched…"));
  try {
    const [json, {showTrace}] = await Promise.all([api.trace(id, {signal}), parts]);
    if (!signal.aborted) show(json, showTrace);
  } catch (error) {
    if (error.name === "AbortError") return;
    fill(container, failure(id, error, app, () => load(container, id, signal, app, show)));
    if (!(error instanceof api.ApiError)) console.error(error);
  }
}

function failure(id, error, app, again) {
  const missing = error.status === 404;
  return el("div", {class: "page-narrow"},
    el("p", {class: missing ? "notice warn" : "notice error", role: "alert"},
      missing ? `The trace ${line(id, 40)} is not here: it has not come in, or made room for newer ones.${wholeIds(id)}` : error.message),
    el("p", el("button", {type: "button", on: {click: again}}, "Try again"), " ", app.link("search", "Search for traces")));
}

function hostOf(json, parameters, keep, app) {
  const path = (id, wanted) => `trace/${id}${String(wanted) ? `?${wanted}` : ""}`;
  return {
    parameters: parameters(),
    replace(now) {
      // Back leads from the timeline to the table or flame graph that led there.
      const replace = now.get("view") === parameters().get("view");
      keep(now);
      const changes = Object.fromEntries(PARAMETERS.map((name) => [name, now.get(name)]));
      app.setParams(changes, {replace, quiet: true});
    },
    address: (wanted) => app.href(path(json.traceID, wanted)),
    linkTo: (traceID, spanID) => app.href(path(traceID, new URLSearchParams(spanID ? {span: spanID} : {}))),
    exportHref: (format) => api.exportUrl(json.traceID, format),
  };
}
