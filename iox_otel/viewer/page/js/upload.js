// Traces from files: by the button, or dropped anywhere on the page.

import * as api from "./api.js";
import {el} from "./dom.js";
import {counted, line} from "./format.js";

const MOST_IN_ADDRESS = 40;

/** A button that takes files of Jaeger's or OTLP's JSON. */
export function uploadButton(app) {
  const input = el("input", {type: "file", multiple: true, accept: ".json,.jsonl,application/json",
    "aria-label": "Files to upload", on: {change: () => chosen(input, app)}});
  const button = el("button", {type: "button", title: "Jaeger JSON or OTLP JSON; or drop files anywhere on this page",
    on: {click: () => input.click()}}, "Upload…");
  return [button, input];
}

function chosen(input, app) {
  const files = [...input.files];
  input.value = "";
  upload(files, app);
}

/** Send *files*, then show the trace, or the list of the traces, that they had. */
export async function upload(files, app) {
  const ids = new Set();
  const failures = [];
  for (const file of files) {
    try {
      const {traceIDs} = await api.upload(file);
      for (const id of traceIDs) ids.add(id);
      if (!traceIDs.length) failures.push(`${line(file.name, 80)}: there is no trace in this JSON`);
    } catch (error) {
      failures.push(`${line(file.name, 80)}: ${error.message}`);
    }
  }
  if (failures.length) app.toast(failures.join(" · "), "error");
  else if (ids.size) app.toast(`${counted(ids.size, "trace")} taken in.`);
  if (ids.size === 1) app.go(`trace/${[...ids][0]}`);
  else if (ids.size) {
    const shown = [...ids].slice(0, MOST_IN_ADDRESS).map((id) => ["traceID", id]);
    app.go(`search?${new URLSearchParams(shown)}`);
  }
}

/** Take files that are dropped anywhere on the page. */
export function takeDrops(app) {
  let target = null;
  let depth = 0;
  const leave = () => {
    depth = 0;
    target?.remove();
    target = null;
  };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth++;
    if (target) return;
    target = el("div", {class: "drop"}, "Drop Jaeger JSON or OTLP JSON here");
    document.body.append(target);
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("dragleave", () => { if (--depth <= 0) leave(); });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    leave();
    upload([...event.dataTransfer.files], app);
  });
}
