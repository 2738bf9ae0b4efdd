// What the viewer keeps, listens on and has lost: in the header, in the banner, and for the views.

import * as api from "./api.js";
import {el, fill, set} from "./dom.js";
import {bytes, count, counted} from "./format.js";
import {LossBanner} from "./loss.js";

/**
 * `now` is the last status the server told, as /api/viewer/status gives it, or null; `onChange`
 * listeners get each new one.
 */
export class Status {
  now = null;
  element = el("span", {class: "kept", role: "status"});
  #live;
  #listeners = new Set();
  #banner = null;
  #kept = el("span");
  #connection = el("span", {class: "connection"});

  constructor(live) {
    this.#live = live;
    this.element.append(this.#connection, " ", this.#kept);
  }

  start(banner) {
    this.#banner = new LossBanner(banner);
    this.#live.on("status", (status) => this.#take(status));
    this.#live.on("open", () => this.refresh());
    this.#live.on("state", (isOpen) => fill(this.#connection, isOpen ? null : "not connected, trying again…"));
    this.refresh();
  }

  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ask now. */
  async refresh() {
    try {
      this.#take(await api.status());
    } catch (error) {
      if (!this.now) fill(this.#connection, error.message);
    }
  }

  #take(status) {
    this.now = status;
    const {traces, spans} = status;
    fill(this.#kept, keptText(traces));
    set(this.#kept, {title: titleOf(status)});
    this.#kept.classList.toggle("evicted", spans.kept < spans.seen);
    this.#banner.show(status);
    for (const listener of [...this.#listeners]) listener(status);
  }
}

/** "3 traces", or "1,000 of 3,412 traces kept". */
export function keptText({kept, seen}) {
  if (kept >= seen) return [el("strong", count(kept)), kept === 1 ? " trace" : " traces"];
  return [el("strong", count(kept)), ` of ${counted(seen, "trace")} kept`];
}

function titleOf({version, traces, spans, bytes: size}) {
  const lines = [
    `${count(spans.kept)} of ${counted(spans.seen, "span")} kept, ${count(spans.max)} at most`,
    `${bytes(size.kept)} of ${bytes(size.max)}`,
    `iox-otel ${version}`,
  ];
  if (traces.kept < traces.seen) lines.unshift("The oldest traces made room for newer ones (--max-spans, --max-mb).");
  return lines.join("\n");
}
