// One trace in one file, without a server: what the exported page starts with.
//
// The state is in the address here too, after the `#`.

import {el} from "../dom.js";
import {Keys} from "../keys.js";
import {line} from "../format.js";
import {unpacked} from "../packed.js";
import {showTrace} from "./page.js";
import {shortcutsOf} from "./shortcuts.js";

/** Show the trace that is in the document as JSON. */
export function start() {
  const json = unpacked(JSON.parse(document.getElementById("trace").textContent));
  const container = document.getElementById("main");
  const page = showTrace(container, json, hostOf(json));
  const keys = new Keys();
  keys.start();
  keys.set("Trace", shortcutsOf(() => page));
  window.addEventListener("hashchange", () => page.session.adopt(written()));
  const {main} = page.trace;
  document.title = main ? line(`${main.service}: ${main.title}`, 80) : `Trace ${json.traceID}`;
  document.getElementById("help").append(
    el("button", {type: "button", class: "plain", "aria-label": "Keyboard help", on: {click: () => keys.help()}},
      el("kbd", "?")));
}

const written = () => new URLSearchParams(location.hash.slice(1));

/** Where the page stands alone only the spans of its own trace can be gone to. */
function hostOf(json) {
  const address = (parameters) => `${location.href.split("#")[0]}#${parameters}`;
  return {
    parameters: written(),
    replace(parameters) {
      const method = parameters.get("view") === written().get("view") ? "replaceState" : "pushState";
      history[method](null, "", address(parameters));
    },
    address,
    linkTo: (traceID, spanID) => (traceID === json.traceID ? address(new URLSearchParams({span: spanID})) : null),
    exportHref: () => null,
  };
}
