// The bar at the top: the views, a field for a trace id, what is kept, the help.

import {el, set} from "./dom.js";

const VIEWS = [["search", "Search"], ["compare", "Compare"], ["graph", "Service graph"]];

export class Header {
  #links;
  #field;

  constructor(header, app) {
    this.#links = VIEWS.map(([route, text]) => app.link(route, text));
    this.#field = idField();
    const help = el("button", {type: "button", class: "plain", title: "Keyboard (?)", "aria-label": "Keyboard help",
      on: {click: () => app.keys.help()}}, el("kbd", "?"));
    header.append(
      app.link("search", {class: "brand"}, el("img", {src: new URL("../icon.svg", import.meta.url).href, alt: ""}), "iox-otel"),
      el("nav", {"aria-label": "Views"}, this.#links),
      el("form", {class: "lookup", role: "search", on: {submit: (event) => this.#lookUp(event, app)}}, this.#field),
      el("span", {class: "gap"}),
      app.status.element,
      help,
    );
  }

  /** Mark the view that is shown. */
  follow({route}) {
    VIEWS.forEach(([name], i) => set(this.#links[i], {"aria-current": name === route ? "page" : null}));
  }

  #lookUp(event, app) {
    event.preventDefault();
    const id = traceIdIn(this.#field.value);
    set(this.#field, {"aria-invalid": id ? null : "true"});
    if (!id) {
      app.toast("A trace id has 1 to 32 hexadecimal digits; a traceparent or uber-trace-id header will do too.", "error");
      return;
    }
    this.#field.value = "";
    this.#field.blur();
    app.go(`trace/${id}`);
  }
}

const idField = () => el("input", {type: "text", "aria-label": "Open a trace by its id", placeholder: "Trace id",
  autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: "400",
  title: "A trace id, or a whole traceparent or uber-trace-id header"});

/** The trace id (32 digits) that *text* is or has: bare, in a traceparent, uber-trace-id or b3; or "". */
export function traceIdIn(text) {
  const value = text.trim().replace(/^(traceparent|uber-trace-id|b3|x-b3-traceid|trace-id)\s*:\s*/i, "")
    .replaceAll("%3A", ":").replace(/^0x/i, "");
  const found = /^([0-9a-f]{1,32})$/i.exec(value)
    ?? /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/i.exec(value)
    ?? /^([0-9a-f]{1,32}):[0-9a-f]{1,16}:[0-9a-f]{1,16}:[0-9a-f]{1,2}$/i.exec(value)
    ?? /^([0-9a-f]{16}|[0-9a-f]{32})-[0-9a-f]{16}(-|$)/i.exec(value);
  const id = found?.[1].toLowerCase().padStart(32, "0") ?? "";
  return /^0*$/.test(id) ? "" : id;
}

/** What to say besides where no trace has this *id*, if it may be a part of one: its zeros may be ours. */
export function wholeIds(id) {
  const {length} = id.replace(/^0+/, "");
  return length === 16 || length === 32 ? "" : ` A whole id has 16 or 32 digits, this one has ${length} after any zeros.`;
}
