// The service graph as a drawing.

import {tint} from "../colours.js";
import {svg} from "../dom.js";
import {count, counted, line} from "../format.js";
import {NODE_HEIGHT, NODE_WIDTH} from "./layout.js";
import {cut, widthOf} from "./letters.js";

const NAME_WIDTH = NODE_WIDTH - 22;
const LABEL_HEIGHT = 15;

/** The contents of the drawing: calls below, services above. */
export function drawn({nodes, edges}, app) {
  return [arrowHead(), svg("g", {class: "calls"}, edges.map(call)), svg("g", {class: "services"}, nodes.map((node) => service(node, edges, app)))];
}

const arrowHead = () => svg("defs", svg("marker", {id: "arrow", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9,
  markerUnits: "userSpaceOnUse", orient: "auto"}, svg("path", {d: "M0 0L10 5L0 10z"})));

function call({call: {parent, child, callCount}, points, isBack, isSelf}) {
  const text = `${line(parent, 60)} calls ${line(child, 60)}: ${counted(callCount, "time")}`;
  const at = isSelf ? {x: points[0].x, y: points[0].y - NODE_HEIGHT / 2 - 24} : middle(points);
  const group = svg("g", {class: isBack ? "call back" : "call"}, svg("title", text),
    svg("path", {d: isSelf ? loop(points[0]) : curve(points), "stroke-width": 1 + Math.log10(callCount + 1) * 0.8, "marker-end": "url(#arrow)"}),
    label(count(callCount), at));
  group.call = {parent, child};
  return group;
}

// A line may be thicker than the letters: it ends before them.
function label(text, {x, y}) {
  const width = widthOf(text, 11, 600) + 8;
  return [svg("rect", {x: x - width / 2, y: y - LABEL_HEIGHT / 2, width, height: LABEL_HEIGHT}),
    svg("text", {x, y: y + 4, "text-anchor": "middle"}, text)];
}

/** A line through *points* that leaves and reaches each of them level. */
function curve(points) {
  let path = `M${points[0].x} ${points[0].y}`;
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    const turn = (b.x - a.x) / 2;
    path += `C${a.x + turn} ${a.y} ${b.x - turn} ${b.y} ${b.x} ${b.y}`;
  }
  return path;
}

const loop = ({x, y}) => {
  const top = y - NODE_HEIGHT / 2;
  return `M${x + 30} ${top}C${x + 40} ${top - 34} ${x - 40} ${top - 34} ${x - 30} ${top}`;
};

// In a gap between columns (every other part of the line), a bit after the middle, where lines have parted.
function middle(points) {
  const i = Math.floor((points.length - 2) / 4) * 2;
  const [a, b] = [points[i], points[i + 1]];
  const t = 0.58;
  const s = 1 - t;
  const ease = 3 * s * t * t + t * t * t;
  const turn = (b.x - a.x) / 2;
  const x = s ** 3 * a.x + 3 * s * s * t * (a.x + turn) + 3 * s * t * t * (b.x - turn) + t ** 3 * b.x;
  return {x, y: a.y + (b.y - a.y) * ease};
}

function service({name, x, y}, edges, app) {
  const received = sum(edges, "child", name);
  const made = sum(edges, "parent", name);
  const shown = cut(line(name, 60) || "(no name)", NAME_WIDTH, 13, 600);
  const facts = [received && `${count(received)} in`, made && `${count(made)} out`].filter(Boolean).join(" · ") || "no calls";
  const node = app.svgLink(`search?${new URLSearchParams({service: name})}`, {class: "node", "data-name": name, draggable: "false", style: tint(name),
    transform: `translate(${x - NODE_WIDTH / 2} ${y - NODE_HEIGHT / 2})`, "aria-label": `${line(name, 80)}, ${facts}: its traces`},
  svg("title", line(name, 300)),
  svg("rect", {class: "box", width: NODE_WIDTH, height: NODE_HEIGHT, rx: 6}),
  svg("rect", {class: "mark", x: 5, y: 6, width: 4, height: NODE_HEIGHT - 12, rx: 2}),
  svg("text", {class: "name", x: 16, y: 16}, `\u2068${shown}\u2069`),
  svg("text", {class: "facts", x: 16, y: 31}, cut(facts, NAME_WIDTH, 11)));
  return node;
}

const sum = (edges, end, name) => edges.reduce((total, {call: each}) => total + (each[end] === name ? each.callCount : 0), 0);

/** Light up the calls of a service and who is at their other ends; all if *name* is null. */
export function emphasise(drawing, name) {
  drawing.classList.toggle("dims", name !== null);
  const near = new Set([name]);
  for (const group of drawing.querySelectorAll(".call")) {
    const {parent, child} = group.call;
    const isOf = parent === name || child === name;
    group.classList.toggle("lit", isOf);
    if (isOf) near.add(parent).add(child);
  }
  for (const node of drawing.querySelectorAll(".node")) node.classList.toggle("lit", near.has(node.dataset.name));
}
