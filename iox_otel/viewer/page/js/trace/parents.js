// Who is whose parent: orphans, ids that several spans have, and cycles.

const SERVER = 2;
const CLIENT = 3;

/** The spans by id; a second one of the same id gets a key of its own, and all of them a warning. */
export function indexById(spans) {
  const byId = new Map();
  for (const node of spans) {
    const same = byId.get(node.id);
    if (!same) byId.set(node.id, [node]);
    else {
      same.push(node);
      node.key = `${node.id}.${same.length}`;
    }
  }
  for (const same of byId.values()) if (same.length > 1) flagDuplicates(same);
  return byId;
}

function flagDuplicates(same) {
  const kinds = same.map((node) => node.kind).sort();
  const shared = same.length === 2 && kinds[0] === SERVER && kinds[1] === CLIENT;
  const text = shared ? "client and server share this span id (as Zipkin does)"
    : `${same.length} spans have this id`;
  for (const node of same) node.warnings.push({kind: "duplicate", text});
}

/** Give every span its parent; return those whose parent is not in the trace. */
export function adopt(spans, byId) {
  const orphans = new Set();
  for (const node of spans) {
    const shared = sharedClient(node, byId);
    const wanted = node.raw.parent;
    if (shared) node.parent = shared;
    else if (!wanted) continue;
    else if (byId.has(wanted)) node.parent = bestParent(node, byId.get(wanted));
    else orphans.add(node);
  }
  for (const node of spans) node.parent?.children.push(node);
  return orphans;
}

/** The client's half of a server span that has the same id, under which it belongs. */
function sharedClient(node, byId) {
  if (node.kind !== SERVER) return null;
  const same = byId.get(node.id);
  if (same.length < 2) return null;
  return same.find((other) => other !== node && other.kind === CLIENT) ?? null;
}

/** Of several spans with the parent's id: that of the same process, else one that was running. */
function bestParent(node, candidates) {
  if (candidates.length === 1) return candidates[0];
  const others = candidates.filter((other) => other !== node);
  return others.find((other) => other.resource === node.resource && other.kind !== CLIENT)
    ?? others.find((other) => other.resource === node.resource)
    ?? others.find((other) => other.start <= node.start && node.start <= other.end)
    ?? others[0] ?? candidates[0];
}

/** Break each cycle of parents at its earliest span, which becomes a root. */
export function cutCycles(spans) {
  const settled = new Set();
  for (const node of spans) {
    const path = [];
    const onPath = new Set();
    let at = node;
    while (at && !settled.has(at) && !onPath.has(at)) {
      path.push(at);
      onPath.add(at);
      at = at.parent;
    }
    if (at && onPath.has(at)) cut(path.slice(path.indexOf(at)));
    for (const done of path) settled.add(done);
  }
}

function cut(cycle) {
  const first = cycle.reduce((low, node) => (node.start < low.start ? node : low));
  const children = first.parent.children;
  children.splice(children.indexOf(first), 1);
  first.parent = null;
  const text = cycle.length === 1 ? "names itself as its parent"
    : `${cycle.length} spans are each other's ancestors; the cycle is cut here`;
  first.warnings.push({kind: "cycle", text});
}

/** The orphans by the id of the parent they name. */
export function groupByParent(orphans) {
  const groups = new Map();
  for (const node of orphans) {
    const id = node.raw.parent;
    if (groups.has(id)) groups.get(id).push(node);
    else groups.set(id, [node]);
  }
  return groups;
}

