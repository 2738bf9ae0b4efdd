// The page of one trace: head, bar, the view that is chosen, and the panel of a span.

import {colourOf, distinguish} from "../colours.js";
import {el} from "../dom.js";
import {counted, dateTime, duration, line} from "../format.js";
import {copyButton} from "./copy.js";
import {createDetail} from "./detail.js";
import {splitter} from "./drag.js";
import {createFindBar} from "./find.js";
import {createFlame} from "./flame.js";
import {createMenu} from "./menu.js";
import {modelOf} from "./model.js";
import {Session, VIEWS} from "./session.js";
import {createTable} from "./table.js";
import {createTimeline} from "./timeline.js";

const MAKERS = {timeline: createTimeline, table: createTable, flame: createFlame};
const LEAST_DETAIL = 260;

/**
 * Show the trace of *json* in *container*. *host* says where it stands: `parameters` at first,
 * `replace(parameters)` for the address, `address(parameters)`, `linkTo(traceID, spanID)` and
 * `exportHref(format)`. Returns the parts
 * that keys work on (see shortcuts.js), the `session`, the `trace`, and `close()`.
 */
export function showTrace(container, json, host) {
  const trace = modelOf(json);
  distinguish(trace.services.keys());
  const body = el("div", {class: "trace-body"});
  const views = {};
  let detail = null;
  let shown = null;
  const session = new Session(trace, host.parameters, update);
  const address = (node) => host.address(addressOf(session, node));
  const menu = createMenu(trace, {exportHref: host.exportHref, address});
  const tabs = createTabs((view) => session.set({view}, "view"));
  const find = createFindBar(actionsOf(session), session);
  const on = {
    select: (node) => {
      session.select(node, true);
      focusRows();
    },
    toggle: (node) => session.toggle(node),
    zoom: (range) => session.zoom(range),
    find: (name) => session.findAll(name),
    sort: (sort) => session.set({sort}),
    flame: (flame) => session.set({flame}),
  };
  const ofDetail = {
    close: () => session.close(), select: (node) => session.select(node), address,
    zoom: (node) => session.zoomTo(node), linkTo: host.linkTo,
  };

  function focusRows() {
    views.timeline?.rows.root.focus({preventScroll: true});
  }

  function showView() {
    shown = session.view;
    view();
    for (const [name, made] of Object.entries(views)) made.root.hidden = name !== shown;
    tabs.show(shown);
    find.root.classList.toggle("of-timeline", shown === "timeline");
  }

  function view() {
    if (!views[session.view]) {
      views[session.view] = MAKERS[session.view](trace, on);
      body.append(views[session.view].root);
    }
    return views[session.view];
  }

  function update(what) {
    if (what === "address") find.set(session);
    if (shown !== session.view) showView();
    if (what !== "rows" && what !== "zoom") showDetail();
    if (session.view === "timeline") showRows(what);
    else view().show(session);
    find.show({...session, matches: session.matches.length, errors: trace.errors.length,
      at: session.matches.indexOf(session.current) + 1});
    if (what !== "address") host.replace(session.parameters());
  }

  function showRows(what) {
    const {rows, context, matches, collapsed, current, range} = session;
    views.timeline.show({rows, context, matches: new Set(matches), collapsed, current, range});
    if (what !== "zoom" && current && views.timeline.rows.has(current)) views.timeline.rows.scrollTo(current);
  }

  function showDetail() {
    const focused = detail?.contains(document.activeElement);
    const wanted = session.opened && session.view === "timeline" ? session.current : null;
    body.querySelector(":scope > .splitter")?.remove();
    detail?.remove();
    detail = wanted && createDetail(wanted, trace, ofDetail, session.query.trim().toLowerCase());
    if (!detail) {
      if (focused) focusRows();
      return;
    }
    body.append(splitter({label: "Width of the details", sign: -1, size: () => detail.offsetWidth,
      resize: (width) => body.style.setProperty("--detail-width",
        `${Math.max(Math.min(width, body.clientWidth - 300), LEAST_DETAIL)}px`)}), detail);
    if (focused) detail.focus();
  }

  const news = el("span", {class: "trace-news", role: "status"});
  container.replaceChildren(el("div", {class: "trace"}, headOf(trace, news, tabs, menu), find.root,
    notesOf(trace, session), body));
  update("view");
  return {trace, session, find, menu, news, focusRows, focusDetail: () => detail?.focus(), back: () => view().back?.() ?? false,
    close() {
      Object.values(views).forEach((made) => made.close());
    }};
}

function actionsOf(session) {
  return {
    find: (text) => session.find(text), only: (only) => session.set({only}),
    shortest: (shortest) => session.set({shortest}), step: (step) => session.step(step),
    error: (step) => session.error(step), fold: (how) => session.fold(how),
  };
}

/** The parameters that show *node*, or with null what is shown now. */
function addressOf(session, node) {
  return node ? new URLSearchParams({span: node.key}) : session.parameters();
}

function createTabs(choose) {
  const buttons = VIEWS.map((view) => {
    const made = el("button", {type: "button", "data-view": view}, view[0].toUpperCase() + view.slice(1));
    made.addEventListener("click", () => choose(view));
    return made;
  });
  return {
    root: el("div", {class: "buttons", role: "group", "aria-label": "View"}, ...buttons),
    show: (view) => buttons.forEach((made) => made.setAttribute("aria-pressed", String(made.dataset.view === view))),
  };
}

function headOf(trace, news, tabs, menu) {
  const {main} = trace;
  const title = el("h1", {class: "trace-title"}, el("bdi", {class: "row-service"}, line(main?.service ?? "")),
    el("bdi", {class: "row-operation"}, line(main?.title ?? "empty trace")));
  if (main) title.style.setProperty("--svc", colourOf(main.service));
  const errors = trace.errors.length;
  const facts = [counted(trace.size, "span"), counted(trace.services.size, "service"), `depth ${trace.depth}`,
    dateTime(trace.startNs)];
  return el("header", {class: "trace-head"}, title,
    el("code", {class: "trace-id", title: trace.traceID}, trace.traceID),
    copyButton("Copy the trace's id", () => trace.traceID),
    el("span", {class: "trace-facts"}, duration(trace.duration),
      errors ? [" · ", el("span", {class: "has-errors"}, counted(errors, "error"))] : "", ` · ${facts.join(" · ")}`),
    el("div", {class: "trace-tools"}, news, tabs.root, menu.root));
}

const NOTES = {
  orphan: (n) => `${n} ${n === 1 ? "span names a parent" : "spans name parents"} not here`,
  skew: (n) => (n === 1 ? "1 span starts before its parent: shown as it came, no clock is corrected"
    : `${n} spans start before their parents: shown as they came, no clock is corrected`),
  unfinished: (n) => `${n} without an end`,
  duplicate: (n) => `${n} share an id with another`,
  cycle: (n) => `${counted(n, "cycle")} of parents cut`,
  stray: (n) => (n === 1 ? "1 span has events outside its time" : `${n} spans have events outside their time`),
  root: (n) => counted(n, "more root"),
};

/** A line for what is odd about the trace; empty for most. */
function notesOf(trace, session) {
  const notes = [...trace.oddities].map(([kind, count]) => NOTES[kind](count));
  if (session.missing) notes.unshift(`the span ${session.missing} is not in this trace`);
  return notes.length ? el("p", {class: "trace-notes", role: "note"}, notes.join(" · ")) : "";
}
