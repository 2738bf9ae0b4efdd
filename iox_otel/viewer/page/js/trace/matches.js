// Which spans a text is found in: names, services, keys and values, events, links, ids.

const texts = new WeakMap();

/** The nodes of *trace* whose texts contain *wanted*, in the order of the tree; case is ignored. */
export function matchesOf(trace, wanted) {
  const needle = wanted.trim().toLowerCase();
  if (!needle) return [];
  return trace.nodes.filter((node) => !node.absent && textOf(node).includes(needle));
}

function textOf(node) {
  let text = texts.get(node);
  if (text === undefined) {
    text = linesOf(node).join("\n").toLowerCase();
    texts.set(node, text);
  }
  return text;
}

function linesOf(node) {
  const {raw, resource, scope} = node;
  const lines = [node.name, node.service, node.id, raw.status.message, raw.state ?? ""];
  addPairs(lines, raw.attributes);
  addPairs(lines, resource.attributes);
  if (scope) lines.push(`${scope.name} ${scope.version ?? ""}`);
  for (const event of raw.events) {
    lines.push(event.name);
    addPairs(lines, event.attributes);
  }
  for (const link of raw.links) {
    lines.push(link.traceID, link.spanID);
    addPairs(lines, link.attributes);
  }
  return lines;
}

function addPairs(lines, attributes) {
  for (const [key, type, value] of attributes) lines.push(`${key}=${plainText(type, value)}`);
}

/** A value as one line of text, as it is found, shown in a row and copied. */
export function plainText(type, value) {
  if (type === "null" || value === null) return "null";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The nearest of *nodes* after (or with *step* -1 before) *from* in the order of the tree, around the end. */
export function neighbour(nodes, from, step) {
  if (!nodes.length) return null;
  const at = from ? from.index : -1;
  if (step > 0) return nodes.find((node) => node.index > at) ?? nodes[0];
  return nodes.findLast((node) => node.index < at) ?? nodes[nodes.length - 1];
}
