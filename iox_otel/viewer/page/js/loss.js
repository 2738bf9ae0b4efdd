// The banner that says which spans did not arrive.

import {el, fill} from "./dom.js";
import {counted, line} from "./format.js";

const INTAKES = {udp: "Jaeger over UDP", grpc: "OTLP over gRPC", http: "OTLP over HTTP"};
const REASONS = {
  queue_full: "its queue was full: it records faster than it sends",
  too_large: "too large for a datagram",
  failed: "sending failed",
};

/** Shown while anything was lost; once dismissed it stays away until more is. */
export class LossBanner {
  #place;
  #dismissed = 0;
  #last = "";
  #isOpen = false;

  constructor(place) {
    this.#place = place;
  }

  show(loss) {
    const last = JSON.stringify(loss);
    if (last === this.#last) return;
    this.#last = last;
    const {parts, total, rows} = summary(loss);
    if (total < this.#dismissed) this.#dismissed = 0;
    if (!total || total === this.#dismissed) fill(this.#place);
    else fill(this.#place, this.#banner(parts, total, rows));
  }

  #banner(parts, total, rows) {
    const details = el("details", {open: this.#isOpen, on: {toggle: () => { this.#isOpen = details.open; }}},
      el("summary", `Not everything arrived: ${parts.join(", ")}.`),
      el("table", el("tbody", rows.map(row))));
    const dismiss = el("button", {type: "button", class: "plain", "aria-label": "Dismiss until more is lost",
      title: "Dismiss until more is lost", on: {click: () => this.#dismiss(total)}}, "✕");
    return el("section", {class: "loss", "aria-label": "Losses"}, details, dismiss);
  }

  #dismiss(total) {
    this.#dismissed = total;
    fill(this.#place);
  }
}

const row = ([number, unit, who, why]) => el("tr",
  el("td", {class: "number"}, counted(number, unit)), el("td", el("bdi", line(who, 80))), el("td", why));

/** What was lost, as {parts: texts, total, rows: [number, unit, who, why]}. */
export function summary({datagrams = 0, processes = [], rejected = {}}) {
  const rows = [];
  let dropped = 0;
  for (const process of processes) {
    for (const [reason, why] of Object.entries(REASONS)) {
      if (!process[reason]) continue;
      dropped += process[reason];
      rows.push([process[reason], "span", `${process.service} (${process.client})`, why]);
    }
  }
  if (datagrams) rows.push([datagrams, "datagram", "on the way", "missing in the senders' numbering (seqNo)"]);
  let refused = 0;
  for (const [intake, number] of Object.entries(rejected)) {
    if (!number) continue;
    refused += number;
    rows.push([number, intake === "udp" ? "datagram" : "request", INTAKES[intake] ?? intake, "refused by this viewer: malformed, too large, or it was busy"]);
  }
  const parts = [
    dropped && `${counted(dropped, "span")} dropped by their senders`,
    datagrams && `${counted(datagrams, "datagram")} lost on the way`,
    refused && `${counted(refused, "message")} refused here`,
  ].filter(Boolean);
  return {parts, total: dropped + datagrams + refused, rows};
}
