// The tree of a trace, from the spans as the server gives them.
//
// Nothing here is repaired in silence: what cannot be true (a child before its parent, two spans of
// one id, a cycle of parents) is shown as it came and said in the `warnings` of the span.

import {counted} from "../format.js";
import {markCriticalPath, measureSelfTimes} from "./measure.js";
import {adopt, cutCycles, groupByParent, indexById} from "./parents.js";

/** OpenTelemetry's numbers of span kinds. */
export const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const ERROR = 2;
const US = 1000;

/**
 * One span in its place. Times are nanoseconds since the start of the trace. `end` is where its bar
 * ends: for an unfinished span the last moment that is known of anything below it.
 */
class Node {
  constructor(raw, trace) {
    this.raw = raw;
    this.id = raw.id;
    this.key = raw.id;
    this.name = raw.name;
    this.title = raw.name.trim() ? raw.name : `(no name)${raw.name}`;
    this.kind = raw.kind;
    this.resource = trace.resources[raw.resource] ?? NO_RESOURCE;
    this.scope = trace.scopes[raw.scope] ?? null;
    this.service = this.resource.service;
    this.start = raw.start;
    this.duration = raw.duration;
    this.unfinished = raw.duration === null;
    this.end = raw.start + (raw.duration ?? 0);
    this.isError = isError(raw);
    this.absent = false;
    this.parent = null;
    this.children = [];
    this.depth = 0;
    this.selfTime = 0;
    this.selfParts = [];
    this.critical = [];
    this.warnings = [];
    this.below = 0;
    this.errorsBelow = 0;
  }
}

const NO_RESOURCE = {service: "unknown_service", attributes: [], dropped: 0};

/** The place of a parent that is not in this trace: the children that name it hang below. */
function absentParent(id, children) {
  const first = children[0];
  const raw = {id, parent: null, name: "parent not here", kind: 0, start: 0, duration: 0,
    attributes: [], events: [], links: [], status: {code: 0, message: ""}};
  const node = new Node(raw, {resources: [first.resource], scopes: []});
  node.absent = true;
  node.key = `absent-${id}`;
  node.service = "";
  node.start = children.reduce((low, child) => Math.min(low, child.start), Infinity);
  node.end = children.reduce((high, child) => Math.max(high, child.end), -Infinity);
  node.duration = node.end - node.start;
  node.children = children;
  for (const child of children) child.parent = node;
  return node;
}

function isError(raw) {
  if (raw.status?.code === ERROR) return true;
  return raw.attributes.some(([key, , value]) => key === "error" && (value === true || value === "true"));
}

/**
 * Return the whole of a trace, ready to be shown: `nodes` in the order of the tree, `roots`,
 * `byKey` (the id of the span; of a second span with the same id, `id.2`), `services` with their
 * numbers of spans, and what is odd about it in `oddities`.
 */
export function modelOf(trace) {
  const spans = trace.spans.map((raw) => new Node(raw, trace));
  const byId = indexById(spans);
  const orphans = adopt(spans, byId);
  cutCycles(spans);
  const roots = spans.filter((node) => node.parent === null && !orphans.has(node));
  for (const [id, children] of groupByParent(orphans)) roots.push(absentParent(id, children));
  closeUnfinished(roots);
  const nodes = arrange(roots);
  flagSkew(nodes);
  flagStrayEvents(nodes);
  measureSelfTimes(nodes);
  const main = mainRoot(roots);
  flagOtherRoots(roots, main);
  if (main) markCriticalPath(main);
  return summary(trace, {nodes, roots, main, byId});
}

/** Draw a span without an end until the last moment known below it. */
function closeUnfinished(roots) {
  const order = preorder(roots);
  for (const node of order.reverse()) {
    if (!node.unfinished) continue;
    for (const event of node.raw.events) node.end = Math.max(node.end, event.time);
    for (const child of node.children) node.end = Math.max(node.end, child.end);
    node.warnings.push({kind: "unfinished", text: "has no end: it is still running, or was lost"});
  }
}

function preorder(roots) {
  const order = [];
  const stack = [...roots].reverse();
  while (stack.length) {
    const node = stack.pop();
    order.push(node);
    for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]);
  }
  return order;
}

const byStart = (a, b) => a.start - b.start || b.end - a.end || (a.id < b.id ? -1 : 1);

/** Sort by time, set depths and counts; return all of it in the order of the tree. */
function arrange(roots) {
  roots.sort(byStart);
  for (const node of preorder(roots)) node.children.sort(byStart);
  const nodes = preorder(roots);
  nodes.forEach((node, index) => {
    node.index = index;
    node.depth = node.parent ? node.parent.depth + 1 : 0;
  });
  for (let i = nodes.length - 1; i >= 0; i--) {
    const {parent, below, errorsBelow, isError: failed} = nodes[i];
    if (!parent) continue;
    parent.below += below + 1;
    parent.errorsBelow += errorsBelow + (failed ? 1 : 0);
  }
  return nodes;
}

function flagSkew(nodes) {
  for (const node of nodes) {
    const {parent} = node;
    if (!parent || parent.absent || node.start >= parent.start) continue;
    const why = parent.resource === node.resource ? "" : ": the two clocks differ";
    const early = parent.start - node.start;
    node.warnings.push({kind: "skew", early, text: `starts before its parent${why}`});
  }
}

/** "before the span" or "after its end" for the *time* of an event that lies outside *node*, else "". */
export function outside(time, node) {
  // Jaeger's clients cut starts and durations down to microseconds: of an end one may be missing.
  if (time < node.start) return "before the span";
  return time > node.end + US ? "after its end" : "";
}

function flagStrayEvents(nodes) {
  for (const node of nodes) {
    const stray = node.raw.events.filter(({time}) => outside(time, node)).length;
    if (stray) node.warnings.push({kind: "stray", text: `${counted(stray, "event")} outside its time`});
  }
}

function flagOtherRoots(roots, main) {
  for (const node of roots) {
    if (node === main || node.absent || node.raw.parent) continue;
    node.warnings.push({kind: "root", text: "has no parent either: the trace has several roots"});
  }
}

/** The root whose critical path is the trace's: the longest of the true ones, if there is any. */
function mainRoot(roots) {
  const real = roots.filter((node) => !node.absent);
  const from = real.length ? real : roots;
  return from.reduce((best, node) => (!best || node.end - node.start > best.end - best.start
    ? node : best), null);
}

function summary(trace, {nodes, roots, main, byId}) {
  const real = nodes.filter((node) => !node.absent);
  const services = new Map();
  for (const node of real) services.set(node.service, (services.get(node.service) ?? 0) + 1);
  const end = nodes.reduce((high, node) => Math.max(high, node.end), trace.duration);
  const oddities = new Map();
  for (const node of real) {
    for (const {kind} of node.warnings) oddities.set(kind, (oddities.get(kind) ?? 0) + 1);
  }
  const orphans = roots.reduce((sum, node) => sum + (node.absent ? node.children.length : 0), 0);
  if (orphans) oddities.set("orphan", orphans);
  return {
    traceID: trace.traceID, startNs: BigInt(trace.startNs), duration: Math.max(end, 1), nodes, roots,
    main, services, oddities, errors: real.filter((node) => node.isError),
    size: real.length, depth: nodes.reduce((deep, node) => Math.max(deep, node.depth + 1), 0),
    byKey: new Map(nodes.map((node) => [node.key, node])), byId,
  };
}
