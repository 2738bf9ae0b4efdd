// Where services and calls are drawn: a layered layout (Sugiyama's) from left to right.

import {layered} from "./layers.js";
import {packed, partsOf} from "./parts.js";

export const NODE_WIDTH = 176;
export const NODE_HEIGHT = 38;
const COLUMN = 280;
const ROW = 62;
const PASSING = 30;
const SWEEPS = 12;

/**
 * The layout of *calls* ({parent, child, callCount}) between *names*: `nodes` [{name, x, y}], their
 * middles; `edges` [{call, points, isBack, isSelf}]; `left`, `top`, `width`, `height`. Parts that no
 * call connects stand beside each other, the largest first; last those that neither call nor are called.
 */
export function layout(names, calls) {
  const parts = partsOf(names, calls).map((part) => (part.calls.length ? layoutOfPart(part) : alone(part)));
  return packed(parts);
}

function layoutOfPart({names, calls}) {
  const {edges, layers} = layered(names, calls);
  const columns = columnsOf(names, layers);
  const ways = edges.map((edge) => throughColumns(edge, layers, columns));
  link(ways);
  sortColumns(columns);
  place(columns);
  const nodes = columns.flat().filter((cell) => cell.name !== null);
  const at = new Map(nodes.map((node) => [node.name, node]));
  const drawn = ways.map(({edge, cells}) => ({call: edge.call, isBack: edge.isBack, isSelf: false, points: pointsOf(cells, edge.isBack)}));
  const selves = calls.filter(({parent, child}) => parent === child)
    .map((call) => ({call, isBack: false, isSelf: true, points: [at.get(call.parent)]}));
  return {nodes, edges: [...drawn, ...selves], ...extent(columns.flat())};
}

function alone({names}) {
  const nodes = names.map((name) => ({name, x: 0, y: 0}));
  return {nodes, edges: [], ...extent(nodes)};
}

const cellOf = (name, layer) => ({name, layer, x: layer * COLUMN, y: 0, order: 0, left: [], right: []});

function columnsOf(names, layers) {
  const columns = [];
  for (const name of names) (columns[layers.get(name)] ??= []).push(cellOf(name, layers.get(name)));
  return columns;
}

/** The cells a call passes from column to column: its ends, and a place in each between them. */
function throughColumns(edge, layers, columns) {
  const [from, to] = edge.isBack ? [edge.to, edge.from] : [edge.from, edge.to];
  const find = (name) => columns[layers.get(name)].find((cell) => cell.name === name);
  const cells = [find(from)];
  for (let layer = layers.get(from) + 1; layer < layers.get(to); layer++) {
    const passing = cellOf(null, layer);
    columns[layer].push(passing);
    cells.push(passing);
  }
  cells.push(find(to));
  return {edge, cells};
}

function link(ways) {
  for (const {cells} of ways) {
    for (let i = 1; i < cells.length; i++) {
      cells[i - 1].right.push(cells[i]);
      cells[i].left.push(cells[i - 1]);
    }
  }
}

/** Order each column by the middle of its neighbours, to and fro; keep what crosses least. */
function sortColumns(columns) {
  const number = () => columns.forEach((column) => column.forEach((cell, order) => { cell.order = order; }));
  number();
  let best = columns.map((column) => [...column]);
  let least = crossings(columns);
  for (let sweep = 0; sweep < SWEEPS && least; sweep++) {
    const side = sweep % 2 ? "right" : "left";
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const middle = new Map(column.map((cell) => [cell, mean(cell[side].map((each) => each.order), cell.order)]));
      column.sort((a, b) => middle.get(a) - middle.get(b) || a.order - b.order);
      column.forEach((cell, order) => { cell.order = order; });
    }
    const now = crossings(columns);
    if (now < least) [best, least] = [columns.map((column) => [...column]), now];
  }
  best.forEach((column, i) => { columns[i] = column; });
  number();
}

const mean = (values, otherwise) => (values.length ? values.reduce((a, b) => a + b) / values.length : otherwise);

function crossings(columns) {
  let total = 0;
  for (const column of columns) {
    const lines = column.flatMap((cell) => cell.right.map((to) => [cell.order, to.order]));
    for (let i = 0; i < lines.length; i++) {
      for (let j = 0; j < i; j++) if ((lines[i][0] - lines[j][0]) * (lines[i][1] - lines[j][1]) < 0) total++;
    }
  }
  return total;
}

/** Heights: in order, never closer than a row, and as level with their neighbours as that allows. */
function place(columns) {
  for (const column of columns) {
    let y = 0;
    for (const cell of column) {
      cell.y = y;
      y += gap(cell);
    }
    for (const cell of column) cell.y -= y / 2;
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) level(column);
  }
}

const gap = (cell) => (cell.name === null ? PASSING : ROW);

function level(column) {
  const wanted = column.map((cell) => mean([...cell.left, ...cell.right].map((each) => each.y), cell.y));
  const down = [];
  column.forEach((cell, i) => { down[i] = i ? Math.max(wanted[i], down[i - 1] + space(column[i - 1], cell)) : wanted[i]; });
  const up = [];
  for (let i = column.length - 1; i >= 0; i--) {
    up[i] = i < column.length - 1 ? Math.min(wanted[i], up[i + 1] - space(column[i], column[i + 1])) : wanted[i];
  }
  column.forEach((cell, i) => { cell.y = (down[i] + up[i]) / 2; });
}

const space = (a, b) => (gap(a) + gap(b)) / 2;

/** The corners of a call's line, from caller to callee; it passes columns level, between services. */
function pointsOf(cells, isBack) {
  const points = cells.flatMap(({x, y}) => [{x: x - NODE_WIDTH / 2, y}, {x: x + NODE_WIDTH / 2, y}]).slice(1, -1);
  return isBack ? points.reverse() : points;
}

function extent(cells) {
  const [xs, ys] = [cells.map((cell) => cell.x), cells.map((cell) => cell.y)];
  const [left, top] = [least(xs), least(ys)];
  return {left: left - NODE_WIDTH / 2, top: top - NODE_HEIGHT / 2,
    width: -least(xs.map((x) => -x)) - left + NODE_WIDTH, height: -least(ys.map((y) => -y)) - top + NODE_HEIGHT};
}

const least = (values) => values.reduce((a, b) => Math.min(a, b));
