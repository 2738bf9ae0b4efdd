// The parts of a graph that no call connects, and where each of them goes.

const ASPECT = 1.8;
const GAP = 60;

/** The parts of *calls* between *names* as {names, calls}; the largest first, else as they come. */
export function partsOf(names, calls) {
  const near = new Map(names.map((name) => [name, []]));
  for (const {parent, child} of calls) {
    near.get(parent).push(child);
    near.get(child).push(parent);
  }
  const partOf = new Map();
  const parts = [];
  for (const name of names) if (!partOf.has(name)) parts.push(reached(name, near, partOf));
  for (const call of calls) partOf.get(call.parent).calls.push(call);
  return parts.sort((a, b) => b.names.length - a.names.length || b.calls.length - a.calls.length);
}

function reached(start, near, partOf) {
  const part = {names: [], calls: []};
  const waiting = [start];
  partOf.set(start, part);
  while (waiting.length) {
    const name = waiting.pop();
    part.names.push(name);
    for (const next of near.get(name)) {
      if (partOf.has(next)) continue;
      partOf.set(next, part);
      waiting.push(next);
    }
  }
  return part;
}

/**
 * Several layouts, see layout.js, as one: in columns as high as the highest of them, or higher if
 * all of it is nearer to a window's shape then.
 */
export function packed(parts) {
  const area = parts.reduce((sum, {width, height}) => sum + (width + GAP) * (height + GAP), 0);
  const most = parts.reduce((high, {height}) => Math.max(high, height), Math.sqrt(area / ASPECT));
  let [x, y, widest, height] = [0, 0, 0, 0];
  const nodes = [];
  const edges = [];
  for (const part of parts) {
    if (y && y + part.height > most) [x, y, widest] = [x + widest + GAP, 0, 0];
    move(part, x - part.left, y - part.top);
    nodes.push(...part.nodes);
    edges.push(...part.edges);
    widest = Math.max(widest, part.width);
    height = Math.max(height, y + part.height);
    y += part.height + GAP;
  }
  return {nodes, edges, left: 0, top: 0, width: x + widest, height};
}

// Of a call to itself the one point is its node, which is moved once.
function move({nodes, edges}, right, down) {
  for (const at of new Set([...nodes, ...edges.flatMap(({points}) => points)])) {
    at.x += right;
    at.y += down;
  }
}
