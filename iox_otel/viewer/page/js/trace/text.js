// A trace as plain text, for an issue report.

import {counted, duration, line} from "../format.js";

const MOST_LEVELS = 40;
const BAR = 30;

/** The tree of *trace*, a line per span: its bar, duration, service, name and what went wrong. */
export function textOfTrace(trace, date) {
  const head = `trace ${trace.traceID}  ${date}  ${duration(trace.duration)}  `
    + `${counted(trace.size, "span")}  ${counted(trace.errors.length, "error")}`;
  const lines = trace.nodes.map((node) => row(node, trace));
  return `${[head, ...lines].join("\n")}\n`;
}

function row(node, trace) {
  const indent = "  ".repeat(Math.min(node.depth, MOST_LEVELS));
  const deep = node.depth > MOST_LEVELS ? `(${node.depth}) ` : "";
  if (node.absent) return `${" ".repeat(BAR + 2)} ${"".padStart(9)}  ${indent}(parent ${node.id} not here)`;
  const took = node.unfinished ? "no end" : duration(node.duration);
  const what = line(`${node.service}: ${node.title}`);
  return `|${bar(node, trace.duration)}| ${took.padStart(9)}  ${indent}${deep}${what}${remarks(node)}`;
}

function bar(node, whole) {
  const from = Math.min(Math.floor((Math.max(node.start, 0) / whole) * BAR), BAR - 1);
  const to = Math.max(Math.ceil((node.end / whole) * BAR), from + 1);
  return `${" ".repeat(from)}${"=".repeat(Math.min(to, BAR) - from)}`.padEnd(BAR);
}

function remarks(node) {
  const error = node.isError ? `  ERROR${node.raw.status.message ? `: ${line(node.raw.status.message)}` : ""}` : "";
  const odd = node.warnings.length ? `  (${node.warnings.map((warning) => warning.text).join("; ")})` : "";
  return error + odd;
}
