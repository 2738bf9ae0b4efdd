// What can be taken away from a trace: files, text, a link.

import {el} from "../dom.js";
import {dateTime} from "../format.js";
import {copyButton} from "./copy.js";
import {textOfTrace} from "./text.js";

const FILES = [["jaeger", "Jaeger JSON"], ["otlp", "OTLP JSON"], ["html", "HTML, one file"], ["text", "Text"]];

/** The menu; *exportHref*(format) is an address to download from, or null where there is none. */
export function createMenu(trace, {exportHref, address}) {
  const items = FILES.map(([format, title]) => [exportHref(format), title]).filter(([href]) => href)
    .map(([href, title]) => el("a", {href, download: "", class: "menu-item"}, title));
  const root = el("details", {class: "menu"}, el("summary", {}, "Export"),
    el("div", {class: "menu-list"}, ...items,
      copyButton("Copy the tree as text, for an issue report", () => asText(trace), "Copy as text"),
      copyButton("Copy the link to what is shown", () => address(null), "Copy link"),
      copyButton("Copy the trace's id", () => trace.traceID, "Copy trace id")));
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
