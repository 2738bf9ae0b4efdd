// Which rows of the tree are to be seen, and in which order.

/**
 * The rows of *trace*, in order: nothing below a node in *collapsed*; with *only*, a set of nodes,
 * those and what they hang from; with *shortest*, no span that took less (nanoseconds), unless a
 * longer one hangs below it. What is kept for its place alone is in `context`.
 */
export function rowsOf(trace, {collapsed, only = null, shortest = 0}) {
  const context = new Set();
  const shown = only || shortest > 0 ? kept(trace, only, shortest, context) : null;
  const rows = [];
  for (let i = 0; i < trace.nodes.length; i++) {
    const node = trace.nodes[i];
    if (shown && !shown.has(node)) continue;
    rows.push(node);
    if (collapsed.has(node)) i += node.below;
  }
  return {rows, context, hidden: shown ? trace.nodes.length - shown.size : 0};
}

function kept(trace, only, shortest, context) {
  const shown = new Set();
  for (let i = trace.nodes.length - 1; i >= 0; i--) {
    const node = trace.nodes[i];
    const wanted = !node.absent && (!only || only.has(node)) && longEnough(node, shortest);
    if (wanted) shown.add(node);
    else if (shown.has(node)) context.add(node);
    if (shown.has(node) && node.parent) shown.add(node.parent);
  }
  return shown;
}

const longEnough = (node, shortest) => node.unfinished || node.duration >= shortest;

/** The set that collapses every node with children that is at *depth* or deeper. */
export function collapsedFrom(trace, depth) {
  return new Set(trace.nodes.filter(foldsFrom(depth)));
}

const foldsFrom = (depth) => (node) => node.children.length > 0 && node.depth >= depth;

/** More keys than these would not go into an address. */
const MOST_FOLDED = 50;

/**
 * What an address says of *collapsed*: "" for nothing, the depth from which all is, or else the keys;
 * "" as well if those are too many.
 */
export function foldedText(trace, collapsed) {
  if (!collapsed.size) return "";
  const depth = [...collapsed].reduce((low, node) => Math.min(low, node.depth), Infinity);
  if (trace.nodes.filter(foldsFrom(depth)).length === collapsed.size) return String(depth);
  return collapsed.size > MOST_FOLDED ? "" : [...collapsed].map((node) => node.key).join(",");
}

/** The set that *text* says, see `foldedText`. No key is as short as a depth. */
export function collapsedOf(trace, text) {
  if (/^\d{1,9}$/.test(text)) return collapsedFrom(trace, Number(text));
  const nodes = text.split(",", MOST_FOLDED).map((key) => trace.byKey.get(key));
  return new Set(nodes.filter((node) => node?.children.length));
}

/** The depth of the deepest row that is open now: what "one level less" closes. */
export function deepestOpen(rows, collapsed) {
  return rows.reduce((deep, node) => (node.children.length && !collapsed.has(node)
    ? Math.max(deep, node.depth) : deep), -1);
}

/** The depth of the shallowest row that is closed now: what "one level more" opens. */
export function shallowestClosed(rows, collapsed) {
  return rows.reduce((low, node) => (collapsed.has(node) ? Math.min(low, node.depth) : low), Infinity);
}

/** Open everything that *node* is hidden under. */
export function reveal(node, collapsed) {
  for (let at = node.parent; at; at = at.parent) collapsed.delete(at);
}
