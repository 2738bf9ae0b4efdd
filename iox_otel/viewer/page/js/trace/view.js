// The view of one trace, as the page opens it: asks the server, and joins the trace to the address.

import * as api from "../api.js";
import {el, fill} from "../dom.js";
import {line} from "../format.js";
import {showTrace} from "./page.js";
import {shortcutsOf} from "./shortcuts.js";

const PARAMETERS = ["view", "span", "zoom", "q", "only", "shortest"];

export const sheets = ["css/trace.css"];

/** See js/app.js. */
export function open(container, state, app) {
  const ended = new AbortController();
  let page = null;
  let latest = state.params;
  load(container, state.id, ended.signal, (json) => {
    page = showTrace(container, json, hostOf(json, () => latest, app));
    const {main} = page.trace;
    app.title(main ? line(`${main.service}: ${main.name}`, 80) : `Trace ${state.id}`);
  });
  return {
    keys: shortcutsOf(() => page),
    update({params}) {
      latest = params;
      page?.session.adopt(params);
    },
    close() {
      ended.abort();
      page?.close();
    },
  };
}

async function load(container, id, signal, show) {
  fill(container, el("p", {class: "page-narrow dim", role: "status"}, "The trace is being fetched…"));
  try {
    show(await api.trace(id, {signal}));
  } catch (error) {
    if (error.name === "AbortError") return;
    fill(container, failure(id, error, () => load(container, id, signal, show)));
    if (!(error instanceof api.ApiError)) console.error(error);
  }
}

function failure(id, error, again) {
  const missing = error.status === 404;
  return el("div", {class: "page-narrow"},
    el("p", {class: missing ? "notice warn" : "notice error", role: "alert"},
      missing ? `The trace ${line(id, 40)} is not here: it has not come in, or made room for newer ones.` : error.message),
    el("p", el("button", {type: "button", on: {click: again}}, "Try again")));
}

function hostOf(json, params, app) {
  const path = (id, parameters) => `trace/${id}${String(parameters) ? `?${parameters}` : ""}`;
  return {
    parameters: params(),
    replace(parameters) {
      const changes = Object.fromEntries(PARAMETERS.map((name) => [name, parameters.get(name)]));
      app.setParams(changes, {replace: true, quiet: true});
    },
    address: (parameters) => app.href(path(json.traceID, parameters)),
    linkTo: (traceID, spanID) => app.href(path(traceID, new URLSearchParams(spanID ? {span: spanID} : {}))),
    exportHref: (format) => api.exportUrl(json.traceID, format),
  };
}
