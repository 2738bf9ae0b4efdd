// Which column each service stands in: callers left of what they call.

/**
 * Return `edges` (those of *calls* whose ends differ, {from, to, call, isBack}) and `layers`, a Map
 * from each name to its column. Calls that close a circle are `isBack`: they count backwards.
 */
export function layered(names, calls) {
  const edges = calls.filter(({parent, child}) => parent !== child).map((call) => ({from: call.parent, to: call.child, call, isBack: false}));
  const out = grouped(names, edges, "from");
  const into = grouped(names, edges, "to");
  markBackEdges(startsFirst(names, into, out), out);
  return {edges, layers: longestPaths(names, edges)};
}

export function grouped(names, edges, end) {
  const by = new Map(names.map((name) => [name, []]));
  for (const edge of edges) by.get(edge[end]).push(edge);
  return by;
}

/** Those that nobody calls first, then those that call most: where a circle is best cut. */
function startsFirst(names, into, out) {
  const sum = (edges) => edges.reduce((total, {call}) => total + call.callCount, 0);
  const surplus = new Map(names.map((name) => [name, sum(out.get(name)) - sum(into.get(name))]));
  return [...names].sort((a, b) => Boolean(into.get(a).length) - Boolean(into.get(b).length)
    || surplus.get(b) - surplus.get(a) || (a < b ? -1 : 1));
}

function markBackEdges(names, out) {
  const state = new Map();
  for (const start of names) {
    if (state.has(start)) continue;
    state.set(start, "open");
    const path = [{name: start, next: 0}];
    while (path.length) {
      const at = path.at(-1);
      const edge = out.get(at.name)[at.next++];
      if (!edge) state.set(path.pop().name, "done");
      else if (state.get(edge.to) === "open") edge.isBack = true;
      else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        path.push({name: edge.to, next: 0});
      }
    }
  }
}

/** The column of each: one right of the rightmost that calls it. */
function longestPaths(names, edges) {
  const layers = new Map(names.map((name) => [name, 0]));
  const waiting = new Map(names.map((name) => [name, 0]));
  const next = new Map(names.map((name) => [name, []]));
  for (const {from, to, isBack} of edges) {
    const [left, right] = isBack ? [to, from] : [from, to];
    next.get(left).push(right);
    waiting.set(right, waiting.get(right) + 1);
  }
  const ready = names.filter((name) => !waiting.get(name));
  while (ready.length) {
    const name = ready.pop();
    for (const to of next.get(name)) {
      layers.set(to, Math.max(layers.get(to), layers.get(name) + 1));
      waiting.set(to, waiting.get(to) - 1);
      if (!waiting.get(to)) ready.push(to);
    }
  }
  return layers;
}
