// What is shown where there are no traces: what to do next.

import {copyButton, el} from "../dom.js";
import {count} from "../format.js";
import {conditions} from "./query.js";

/** When nothing has arrived yet: commands that send something here, with the ports of *status*. */
export function nothingYet(status) {
  const {udp, grpc, http} = status.intake;
  if (status.isEmbedded) return embedded();
  if (!udp && !grpc && !http) return uploadsOnly();
  return el("div", {class: "empty"},
    el("h2", "No traces yet"),
    el("p", "This page is waiting; the first trace appears here by itself within a second of its arrival. Send one:"),
    el("ol", {class: "ways"},
      http && way("Any terminal", "one span, by hand, over OTLP HTTP", oneSpan(address(http))),
      udp && way("The traced database server", "then, in a second terminal, a request", ...server(address(udp))),
      (grpc || http) && way("Any OpenTelemetry SDK, in any language", "set one of these before the program starts", ...sdk(grpc, http)),
      udp && way("Any Jaeger client", "compact Thrift over UDP", jaegerClient(address(udp))),
      grpc && way("An OpenTelemetry Collector", "add this to its configuration", collector(address(grpc)))),
    el("p", {class: "dim"}, "Or drop a file of Jaeger JSON or OTLP JSON on this page."),
    el("p", {class: "dim"}, listening(status.intake)));
}

function embedded() {
  return el("div", {class: "empty"},
    el("h2", "No traces yet"),
    el("p", "This viewer is part of an application and shows its traces alone. Send the application a request that is traced, for example with this header:"),
    el("ol", {class: "ways"}, way("A request", "any of the application’s paths will do",
      `curl -H 'jaeger-debug-id: hello' ${location.origin}/`)),
    el("p", {class: "dim"}, "Or drop a file of Jaeger JSON or OTLP JSON on this page."));
}

const uploadsOnly = () => el("div", {class: "empty"},
  el("h2", "No traces yet"),
  el("p", "This viewer takes nothing but uploads: all its intakes are off. Drop a file of Jaeger JSON or OTLP JSON on this page."));

const way = (title, remark, ...commands) => el("li",
  el("h3", title, el("span", {class: "dim"}, ` – ${remark}`)),
  commands.map((command) => el("div", {class: "command"}, el("pre", command), copyButton(command))));

/** Host and port to send to: one that listens on every address is reached at this page's. */
function address(listening) {
  const at = listening.lastIndexOf(":");
  const host = listening.slice(0, at).replace(/^\[|\]$/g, "");
  const reached = ["0.0.0.0", "::", ""].includes(host) ? location.hostname.replace(/^\[|\]$/g, "") : host;
  return {host: reached, port: listening.slice(at + 1), both: `${reached.includes(":") ? `[${reached}]` : reached}:${listening.slice(at + 1)}`};
}

function oneSpan({both}) {
  const start = `${Math.floor(Date.now() / 1000)}000000000`;
  const end = (BigInt(start) + 250_000_000n).toString();
  const span = {traceId: hex(16), spanId: hex(8), name: "hello", kind: 2, startTimeUnixNano: start, endTimeUnixNano: end};
  const attributes = [{key: "service.name", value: {stringValue: "by-hand"}}];
  const body = {resourceSpans: [{resource: {attributes}, scopeSpans: [{spans: [span]}]}]};
  return `curl -H 'Content-Type: application/json' http://${both}/v1/traces -d '${JSON.stringify(body)}'`;
}

function hex(bytes) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return [...random].map((each) => each.toString(16).padStart(2, "0")).join("");
}

const server = ({host, port}) => [
  `TRACES_EXPORTER=jaeger TRACES_EXPORTER_JAEGER_AGENT_HOST=${host} TRACES_EXPORTER_JAEGER_AGENT_PORT=${port} iox-otel run -v --server-id=42`,
  "iox-otel database create my_db && iox-otel database query my_db 'show tables' --header jaeger-debug-id:hello",
];

const sdk = (grpc, http) => [
  http && `export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_ENDPOINT=http://${address(http).both}`,
  grpc && `export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT=http://${address(grpc).both}`,
].filter(Boolean);

const jaegerClient = ({host, port}) =>
  `export JAEGER_AGENT_HOST=${host} JAEGER_AGENT_PORT=${port} JAEGER_SAMPLER_TYPE=const JAEGER_SAMPLER_PARAM=1`;

const collector = ({both}) => `exporters:\n  otlp:\n    endpoint: ${both}\n    tls:\n      insecure: true\n`
  + "service:\n  pipelines:\n    traces:\n      exporters: [otlp]";

function listening(intake) {
  const names = {udp: "Jaeger compact (UDP)", grpc: "OTLP gRPC", http: "OTLP HTTP"};
  const said = Object.entries(names).map(([name, text]) => `${text} ${intake[name] ? `on ${intake[name]}` : "is off"}`);
  return `Listening: ${said.join(", ")}.`;
}

/** When nothing fits the search of *params*, though there are traces: its conditions, to take away. */
export function nothingFits(params, status, app) {
  const listed = conditions(params);
  const {kept, seen} = status?.traces ?? {kept: 0, seen: 0};
  return el("div", {class: "empty"},
    el("h2", "No trace fits"),
    listed.length ? el("p", listed.length > 1 ? "There is no span for which all of this holds. Take a condition away:"
      : "There is no span for which this holds. Take it away:") : el("p", "What was here has made room for newer traces."),
    el("p", {class: "chips"}, listed.map(([text, changes]) => el("button", {type: "button", "aria-label": `Without: ${text}`,
      on: {click: () => app.setParams(changes)}}, el("bdi", text), el("span", {"aria-hidden": "true"}, " ✕")))),
    seen > kept ? el("p", {class: "dim"}, `${count(kept)} of the ${count(seen)} traces that arrived are kept; the oldest made room for newer ones. `
      + "Start the viewer with larger --max-spans and --max-mb to keep more.") : null);
}
