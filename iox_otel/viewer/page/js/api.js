// What the page asks the server. Every failure is an ApiError whose message is one line.

import {unpacked} from "./packed.js";

export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** The absolute address of *path*, which is relative to the page's base, with *params* (or none). */
export function url(path, params = null) {
  const address = new URL(path, document.baseURI);
  if (params) address.search = new URLSearchParams(params).toString();
  return address.href;
}

async function ask(path, {params = null, signal = null, body = null} = {}) {
  const options = {signal, headers: {Accept: "application/json"}, credentials: "same-origin"};
  if (body !== null) {
    options.method = "POST";
    options.body = body;
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(url(path, params), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The viewer does not answer. Is it still running?");
  }
  return read(response);
}

async function read(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (response.ok) throw new ApiError("The viewer's answer broke off.", response.status);
  }
  if (response.ok) return answer;
  const said = answer?.error ?? answer?.errors?.[0]?.msg;
  throw new ApiError(said ? oneLine(said) : meaning(response.status), response.status);
}

const oneLine = (text) => String(text).split(/\s*\n\s*/)[0].slice(0, 500);

function meaning(status) {
  if (status === 401 || status === 403) return "The viewer wants its token: open the address that it printed when it started.";
  if (status === 404) return "There is no such thing here.";
  if (status === 413) return "That is larger than the viewer takes.";
  if (status === 503) return "The viewer has more to do than it can; try again in a moment.";
  return `The viewer answered with status ${status}.`;
}

export const status = (options) => ask("api/viewer/status", options);
export const services = (options) => ask("api/viewer/services", options).then((answer) => answer.data);
/** *params*: URLSearchParams as /api/viewer/traces takes them. */
export const traces = (params, options) => ask("api/viewer/traces", {...options, params});
export const trace = (id, options) => ask(`api/viewer/traces/${encodeURIComponent(id)}`, options).then(unpacked);
export const upload = (file, options) => ask("api/viewer/upload", {...options, body: file});
export const dependencies = (params, options) =>
  ask("api/dependencies", {...options, params}).then((answer) => answer.data ?? []);
/** Where a trace is downloaded: *format* is jaeger, otlp, html or text. */
export const exportUrl = (id, format) => url(`api/viewer/traces/${encodeURIComponent(id)}/export`, {format});
