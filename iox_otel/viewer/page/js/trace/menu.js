// What can be taken away from a trace: files, text, a link.

import {el} from "../dom.js";
import {dateTime} from "../format.js";
import {copyButton} from "./copy.js";
import {textOfTrace} from "./text.js";

const FILES = [["jaeger", "Jaeger JSON"], ["otlp", "OTLP JSON"], ["html", "HTML, one file"], ["text", "Text"]];

const group = (title, items) => (items.length
  ? el("div", {class: "menu-group", role: "group", "aria-label": title}, el("p", title), ...items) : "");

/** The menu; *exportHref*(format) is an address to download from, or null where there is none. */
export function createMenu(trace, {exportHref, address}) {
  const items = FILES.map(([format, title]) => [exportHref(format), title]).filter(([href]) => href)
    .map(([href, title]) => el("a", {href, download: "", class: "menu-item"}, title));
  const root = el("details", {class: "menu"}, el("summary", {}, "Export"),
    el("div", {class: "menu-list"}, group("Download", items), group("Copy", [
      copyButton("Copy the tree as text, for an issue report", () => asText(trace), "As text"),
      copyButton("Copy the link to what is shown", () => address(null), "Link"),
      copyButton("Copy the trace's id", () => trace.traceID, "Trace id")])));
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !root.contains(event.relatedTarget)) root.open = false;
  });
  return {
    root,
    close() {
      const was = root.open;
      root.open = false;
      if (was) root.querySelector("summary").focus();
      return was;
    },
  };
}

const asText = (trace) => textOfTrace(trace, dateTime(trace.startNs));
