// What a trace's times say: self time, the critical path, and figures per operation.

/** Set `selfParts` (when no child was running) and `selfTime` of every node. */
export function measureSelfTimes(nodes) {
  for (const node of nodes) {
    if (node.absent) continue;
    node.selfParts = uncovered(node);
    node.selfTime = node.selfParts.reduce((sum, [from, to]) => sum + to - from, 0);
  }
}

/** The parts of a span during which none of its children ran; its children are sorted by start. */
function uncovered(node) {
  const parts = [];
  let at = node.start;
  for (const child of node.children) {
    if (child.start >= node.end) break;
    if (child.start > at) parts.push([at, child.start]);
    at = Math.max(at, child.end);
  }
  if (at < node.end) parts.push([at, node.end]);
  return parts;
}

/**
 * Set `critical`, the parts of each span that the end of *root* waited for.
 *
 * From the end backwards: a span is on the path while it runs alone, then the child that finished
 * last takes over until that child began, and so on. A child that runs on beyond its parent, or
 * beyond the start of the one after it on the path, is looked at up to there: a span is never on the
 * path while a child of it runs. Parts come in order of time.
 */
export function markCriticalPath(root) {
  const work = [{node: root, from: root.start, to: root.end}];
  while (work.length) {
    const {node, from, to} = work.pop();
    const parts = [];
    let at = to;
    for (const child of lastFinishedFirst(node)) {
      const end = Math.min(child.end, at);
      const start = Math.max(child.start, from);
      if (start >= end) continue;
      if (at > end) parts.push([end, at]);
      work.push({node: child, from: start, to: end});
      at = start;
      if (at <= from) break;
    }
    if (at > from) parts.push([from, at]);
    node.critical = node.absent ? [] : parts.reverse();
  }
}

const lastFinishedFirst = (node) => [...node.children].sort((a, b) => b.end - a.end || b.start - a.start);

/** The value at or below which the share *p* of the sorted *values* lies (nearest rank). */
export function percentile(values, p) {
  if (!values.length) return null;
  return values[Math.max(Math.ceil(p * values.length) - 1, 0)];
}

/**
 * Figures per service and operation: `count`, `errors`, `p50`, `p95`, `p99`, `max`, `total` and
 * `self`. Spans without an end count, but say nothing about durations.
 */
export function operationsOf(nodes) {
  const groups = new Map();
  for (const node of nodes) {
    if (node.absent) continue;
    const key = JSON.stringify([node.service, node.name]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(node);
  }
  return [...groups.values()].map(figures);
}

function figures(nodes) {
  const durations = nodes.filter((node) => !node.unfinished).map((node) => node.duration);
  durations.sort((a, b) => a - b);
  return {
    service: nodes[0].service, name: nodes[0].name, title: nodes[0].title, nodes, count: nodes.length,
    errors: nodes.filter((node) => node.isError).length,
    p50: percentile(durations, 0.5), p95: percentile(durations, 0.95), p99: percentile(durations, 0.99),
    max: durations.length ? durations[durations.length - 1] : null,
    total: durations.reduce((sum, value) => sum + value, 0),
    self: nodes.reduce((sum, node) => sum + node.selfTime, 0),
    critical: nodes.reduce((sum, node) => sum + length(node.critical), 0),
  };
}

/** The sum of the lengths of *parts*. */
export const length = (parts) => parts.reduce((sum, [from, to]) => sum + to - from, 0);

/**
 * The call tree with equal paths of (service, name) made one: `{service, name, value, self, count,
 * errors, depth, children}`. The value of a node is its own self time and that of all below it, so
 * that children never exceed their parent however much ran at once.
 */
export function flameOf(roots) {
  const top = flameNode(null, "", "", 0);
  const order = [top];
  const work = roots.map((node) => [node, top]);
  while (work.length) {
    const [node, under] = work.pop();
    const at = node.absent ? under : childOf(under, node, order);
    if (!node.absent) {
      at.title = node.title;
      at.count += 1;
      at.self += node.selfTime;
      at.errors += node.isError ? 1 : 0;
      at.nodes.push(node);
    }
    for (const child of node.children) work.push([child, at]);
  }
  for (const at of order.reverse()) {
    at.value += at.self;
    if (at.parent) at.parent.value += at.value;
    at.children.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
  }
  return top;
}

function flameNode(parent, service, name, depth) {
  return {parent, service, name, title: name, depth, value: 0, self: 0, count: 0, errors: 0, nodes: [],
    children: [], index: new Map()};
}

function childOf(under, node, order) {
  const key = JSON.stringify([node.service, node.name]);
  let found = under.index.get(key);
  if (!found) {
    found = flameNode(under, node.service, node.name, under.depth + 1);
    under.index.set(key, found);
    under.children.push(found);
    order.push(found);
  }
  return found;
}
