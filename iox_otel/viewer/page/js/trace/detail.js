// The panel of one span: all that is known of it.

import {el} from "../dom.js";
import {count, counted, duration, exactTime, line} from "../format.js";
import {attributeTable, attributeText, dropNote} from "./attributes.js";
import {copyButton} from "./copy.js";
import {length} from "./measure.js";
import {KINDS, outside} from "./model.js";
import {exceptionOf, exceptionView, shownAlready} from "./stack.js";

const AT_ONCE = 200;

/**
 * Return the panel of *node*. *on* has `close()`, `zoom(range)`, `select(node)`, `address(node)` (the
 * link to this span) and `linkTo(traceID, spanID)` (an address, or null if there is none).
 */
export function createDetail(node, trace, on, needle) {
  const close = el("button", {type: "button", class: "detail-close", "aria-label": "Close the details"}, "×");
  close.addEventListener("click", () => on.close());
  const body = node.absent ? absentParts(node, on) : spanParts(node, trace, on, needle);
  return el("aside", {class: "detail", tabindex: "-1", "aria-label": "Details of the span"},
    el("header", {class: "detail-head"},
      el("h2", {}, el("bdi", {class: "detail-service"}, line(node.service, 1000)), el("bdi", line(node.title, 5000))), close),
    ...body.filter(Boolean));
}

function absentParts(node, on) {
  return [el("p", {class: "detail-text"}, `${counted(node.children.length, "span")} below named ${node.id} as parent, `
    + "which has not come in. It may still be on its way, belong to a service that does not send its "
    + "spans here, or be lost."),
  section("Its children", el("ul", {class: "span-list"}, ...node.children.slice(0, 100).map((child) =>
    el("li", {}, spanButton(child, on)))))];
}

function spanButton(node, on) {
  const button = el("button", {type: "button", class: "link"}, line(`${node.service}: ${node.title}`));
  button.addEventListener("click", () => on.select(node));
  return button;
}

function spanParts(node, trace, on, needle) {
  const {raw, resource, scope} = node;
  return [
    actions(node, on),
    ...node.warnings.map(({text, early}) => el("p", {class: "detail-odd"},
      early ? `${text} (by ${duration(early)})` : text)),
    status(raw),
    facts(node, trace, on),
    raw.attributes.length || raw.dropped?.attributes
      ? pairs("Tags", raw.attributes, raw.dropped?.attributes, needle) : null,
    raw.events.length || raw.dropped?.events ? events(node, needle) : null,
    raw.links.length || raw.dropped?.links ? links(node, trace, on, needle) : null,
    pairs("Process", resource.attributes, resource.dropped, needle),
    scope?.name || scope?.attributes?.length ? scopePart(scope, needle) : null,
  ];
}

function actions(node, on) {
  const zoom = el("button", {type: "button"}, "Zoom to it");
  zoom.addEventListener("click", () => on.zoom(node));
  return el("div", {class: "detail-actions"}, zoom,
    copyButton("Copy the link to this span", () => on.address(node), "Copy link"),
    copyButton("Copy the span's id", () => node.id, "Copy id"),
    copyButton("Copy the span as JSON", () => JSON.stringify(node.raw, null, 2), "Copy JSON"));
}

function status(raw) {
  if (raw.status.code !== 2 && !raw.status.message) return null;
  const kind = raw.status.code === 2 ? "detail-status is-error" : "detail-status";
  return el("p", {class: kind}, el("strong", {}, raw.status.code === 2 ? "Error" : "Status"),
    raw.status.message ? ` ${raw.status.message}` : "");
}

function facts(node, trace, on) {
  const share = node.unfinished ? "" : ` (${((100 * node.duration) / trace.duration).toFixed(1)} % of the trace)`;
  const parent = node.parent;
  const list = [
    ["Duration", node.unfinished ? "no end" : duration(node.duration) + share],
    ["Self time", duration(node.selfTime)],
    ["On critical path", duration(length(node.critical))],
    ["Start", `${duration(node.start)} after the trace began`],
    ["At", exactTime(node.raw.startNs ?? trace.startNs + BigInt(node.start))],
    ["Kind", KINDS[node.kind] ?? String(node.kind)],
    ["Span id", node.id],
    ["Parent", parent && !parent.absent ? spanButton(parent, on) : node.raw.parent ?? "none, a root"],
    node.children.length ? ["Children", childrenText(node)] : null,
    ...carried(node.raw),
    ["Came by", node.raw.source === "jaeger" ? "Jaeger" : "OTLP"],
  ];
  return factList(list.filter(Boolean));
}

const childrenText = ({children, below}) =>
  (below > children.length ? `${count(children.length)}; ${count(below)} spans below it in all` : count(below));

/** What came along in a span's or a link's context. */
const carried = ({state, flags}) => [
  state ? ["Trace state", state] : null,
  flags ? ["Flags", `0x${flags.toString(16)}`] : null,
].filter(Boolean);

const factList = (list) => el("dl", {class: "facts"},
  ...list.flatMap(([term, said]) => [el("dt", {}, term), el("dd", {}, said)]));

function section(title, ...content) {
  return el("section", {class: "detail-section"}, el("h3", {}, title), ...content);
}

/** The title of a section that has *number* of them. */
const numbered = (title, number) => [`${title} `, el("span", {class: "count"}, count(number))];

function pairs(title, attributes, dropped, needle) {
  const copy = copyButton(`Copy all: ${title}`, () => attributeText(attributes), "Copy all");
  return section([...numbered(title, attributes.length), copy], attributeTable(attributes, {label: title, dropped, needle}));
}

function events(node, needle) {
  const {events: all, dropped} = node.raw;
  return section(numbered("Events", all.length), ...inParts("ol", "events", all, (event) => eventPart(event, node, needle)),
    dropNote(dropped?.events));
}

/** A list of *items*, so many at a time: thousands at once would keep the page from answering. */
function inParts(tag, kind, items, draw) {
  const list = el(tag, {class: kind});
  const more = el("button", {type: "button", class: "more"});
  let shown = 0;
  const show = () => {
    list.append(...items.slice(shown, shown + AT_ONCE).map(draw));
    shown = Math.min(shown + AT_ONCE, items.length);
    more.hidden = shown === items.length;
    more.textContent = `Show ${count(Math.min(AT_ONCE, items.length - shown))} more of ${count(items.length - shown)}`;
  };
  more.addEventListener("click", show);
  show();
  return [list, more];
}

function eventPart(event, node, needle) {
  const exception = exceptionOf(event);
  const rest = exception ? event.attributes.filter(([key]) => !shownAlready(key)) : event.attributes;
  return el("li", {class: exception ? "event is-exception" : "event"},
    el("p", {class: "event-head"}, el("time", {title: "since the span's start"}, after(event.time - node.start)),
      el("span", {class: "event-name"}, line(event.name, 1000) || "(no name)"),
      el("span", {class: "event-outside"}, outside(event.time, node))),
    exception ? exceptionView(exception) : "",
    rest.length || event.dropped ? attributeTable(rest, {label: event.name, dropped: event.dropped, needle}) : "");
}

const after = (ns) => (ns < 0 ? `−${duration(-ns)}` : `+${duration(ns)}`);

function links(node, trace, on, needle) {
  return section(numbered("Links", node.raw.links.length), ...inParts("ul", "links", node.raw.links, (link) => {
    const href = on.linkTo(link.traceID, link.spanID);
    const ids = `${link.traceID} / ${link.spanID}`;
    const [here] = link.traceID === trace.traceID ? trace.byId.get(link.spanID) ?? [] : [];
    const said = carried(link);
    const name = here ? line(`${here.service}: ${here.title}`) : el("code", ids);
    return el("li", {}, href ? el("a", {href, class: "link-target", title: ids}, name) : name,
      said.length ? factList(said) : "",
      link.attributes.length || link.dropped
        ? attributeTable(link.attributes, {label: "link", dropped: link.dropped, needle}) : "");
  }), dropNote(node.raw.dropped?.links));
}

function scopePart(scope, needle) {
  const name = el("p", {class: "detail-text"}, line(`${scope.name} ${scope.version ?? ""}`, 1000));
  return section("Scope", name, scope.attributes?.length
    ? attributeTable(scope.attributes, {label: "Scope", needle}) : "");
}
