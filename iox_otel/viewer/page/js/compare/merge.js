// Two traces as one tree: what is at the same path of services and names belongs together. The main
// roots of both belong together whatever they are called, or else nothing below them would.

/**
 * One place in the merged tree: `a` and `b` say what each trace has there: {count, total, errors}
 * with the sum of durations in nanoseconds. `inB` is {service, name} of a main root that B calls otherwise.
 */
class Place {
  constructor(service, name, depth, parent) {
    this.service = service;
    this.name = name;
    this.depth = depth;
    this.parent = parent;
    this.inB = null;
    this.a = side();
    this.b = side();
    this.places = new Map();
    this.below = 0;
    this.differsBelow = false;
  }

  /** What differs most: "only-a", "only-b", "errors" or "count" if these numbers do, "name", else "same". */
  get difference() {
    if (!this.b.count) return "only-a";
    if (!this.a.count) return "only-b";
    if (this.a.errors !== this.b.errors) return "errors";
    if (this.a.count !== this.b.count) return "count";
    return this.inB ? "name" : "same";
  }

  get differs() {
    return this.difference !== "same";
  }
}

const side = () => ({count: 0, total: 0, errors: 0, first: Infinity});

/** The places of two traces (see trace/model.js), in the order of the tree: a parent before what is below it. */
export function merged(modelA, modelB) {
  const top = new Map();
  add(top, modelA, "a");
  const pair = pairOfRoots(modelA, modelB);
  if (pair) {
    const place = top.get(keyOf(pair.a));
    place.inB = {service: pair.b.service, name: pair.b.name};
    top.set(keyOf(pair.b), place);
  }
  add(top, modelB, "b");
  const places = inOrder(top);
  for (let i = places.length - 1; i >= 0; i--) {
    const {parent, below, differs, differsBelow} = places[i];
    if (!parent) continue;
    parent.below += below + 1;
    parent.differsBelow ||= differs || differsBelow;
  }
  return places;
}

// The nodes come in the order of the tree: a parent has its place before its children ask for it.
function add(top, model, which) {
  const placeOf = new Map();
  for (const node of model.nodes) {
    if (node.absent) continue;
    const parent = node.parent ? placeOf.get(node.parent) ?? null : null;
    const places = parent ? parent.places : top;
    const key = keyOf(node);
    if (!places.has(key)) places.set(key, new Place(node.service, node.name, parent ? parent.depth + 1 : 0, parent));
    const place = places.get(key);
    placeOf.set(node, place);
    count(place[which], node);
  }
}

const keyOf = ({service, name}) => `${service}\u0000${name}`;

/** The main roots {a, b} of two traces, if each has one, and the other has none of that name. */
function pairOfRoots(modelA, modelB) {
  const [a, b] = [mainRoot(modelA), mainRoot(modelB)];
  const has = ({roots}, wanted) => roots.some((root) => !root.absent && keyOf(root) === keyOf(wanted));
  return a && b && !has(modelA, b) && !has(modelB, a) ? {a, b} : null;
}

/** The root that has more than half of a trace's spans, or null. */
const mainRoot = ({roots, size}) => roots.find((root) => !root.absent && 2 * (root.below + 1) > size) ?? null;

function count(at, node) {
  at.count++;
  at.total += node.duration ?? 0;
  at.errors += node.isError ? 1 : 0;
  at.first = Math.min(at.first, node.start);
}

function inOrder(top) {
  const places = [];
  const stack = byTime(top).reverse();
  while (stack.length) {
    const place = stack.pop();
    places.push(place);
    stack.push(...byTime(place.places).reverse());
  }
  return places;
}

const byTime = (places) => [...new Set(places.values())].sort((x, y) => earliest(x) - earliest(y));
const earliest = ({a, b}) => Math.min(a.first, b.first);
