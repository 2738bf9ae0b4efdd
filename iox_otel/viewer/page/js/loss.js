// The banner that says which spans did not arrive, or were not kept.

import {el, fill} from "./dom.js";
import {counted, line} from "./format.js";

const INTAKES = {udp: "Jaeger over UDP", grpc: "OTLP over gRPC", http: "OTLP over HTTP"};
const REASONS = {
  queue_full: "its queue was full: it records faster than it sends",
  too_large: "too large for a datagram",
  failed: "sending failed",
};
const HERE = "this viewer";

/** Shown while anything was lost; once dismissed it stays away until more is. */
export class LossBanner {
  #place;
  #total = 0;
  #dismissed = 0;
  #said = el("summary");
  #rows = el("tbody");
  #element;

  constructor(place) {
    this.#place = place;
    const dismiss = el("button", {type: "button", class: "plain", "aria-label": "Dismiss until more is lost",
      title: "Dismiss until more is lost", on: {click: () => this.#dismiss()}}, "✕");
    this.#element = el("section", {class: "loss", "aria-label": "Losses"},
      el("details", this.#said, el("table", {"aria-label": "What was lost, and where"}, this.#rows)), dismiss);
  }

  /** Show what /api/viewer/status tells of losses; the same elements stay, and the focus. */
  show(status) {
    const {parts, total, rows} = summary(status);
    this.#total = total;
    if (total < this.#dismissed) this.#dismissed = 0;
    if (!total || total === this.#dismissed) return void fill(this.#place);
    const said = `Not everything is here: ${parts.join(", ")}.`;
    if (this.#said.textContent !== said) this.#said.textContent = said;
    fill(this.#rows, rows.map(row));
    if (this.#place.firstChild !== this.#element) fill(this.#place, this.#element);
  }

  #dismiss() {
    this.#dismissed = this.#total;
    fill(this.#place);
  }
}

const row = ([number, unit, who, why]) => el("tr",
  el("td", {class: "number"}, counted(number, unit, UNITS[unit])), el("td", el("bdi", line(who, 80))), el("td", why));

// A refused message that could not be read has spans that nobody can count.
const UNITS = {"span or datagram": "spans or datagrams", "span or request": "spans or requests"};

/** What was lost, as {parts: texts, total, rows: [number, unit, who, why]}. */
export function summary({loss, spans}) {
  const dropped = loss.processes.flatMap(droppedBy);
  const missing = missingOf(loss);
  const refused = ofIntakes(loss.rejected, (intake) => (intake === "udp" ? "span or datagram" : "span or request"),
    (intake) => `refused by this viewer: malformed, too large${intake === "udp" ? " or more than it could take" : " or without ids"}`);
  const failed = loss.notStored ? [[loss.notStored, "span", HERE, "not stored: the database failed, see the viewer's log"]] : [];
  const cut = spans.cut ? [[spans.cut, "span", HERE, "not stored: their trace alone is beyond --max-spans or --max-mb"]] : [];
  const later = ofIntakes(loss.postponed, () => "request",
    () => "not lost: put off while this viewer was busy, their senders try again");
  const [ofSenders, onTheWay, ofRefused, ofFailed, ofCut] = [dropped, missing, refused, failed, cut].map(sum);
  return {
    parts: [
      ofSenders && `${counted(ofSenders, "span")} dropped by their senders`,
      onTheWay && `${counted(onTheWay, "datagram")} lost on the way`,
      ofRefused && `${counted(ofRefused, "message or span", "messages or spans")} refused here`,
      ofFailed && `${counted(ofFailed, "span")} could not be stored`,
      ofCut && `${counted(ofCut, "span")} cut from traces larger than all that is kept`,
    ].filter(Boolean),
    total: ofSenders + onTheWay + ofRefused + ofFailed + ofCut,
    rows: [...dropped, ...missing, ...refused, ...failed, ...cut, ...later],
  };
}

const sum = (rows) => rows.reduce((total, [number]) => total + number, 0);

const nameOf = ({service, client}) => `${line(service, 50) || "(no name)"} (${line(client, 25)})`;

const droppedBy = (process) => Object.entries(REASONS).filter(([reason]) => process[reason])
  .map(([reason, why]) => [process[reason], "span", nameOf(process), why]);

/** Of processes that were not heard of for long only the sum is known. */
function missingOf({datagrams, processes}) {
  const rows = processes.map((process) => [process.missing, "datagram", nameOf(process)]);
  return [...rows, [datagrams - sum(rows), "datagram", "senders not heard of for long"]].filter(([number]) => number)
    .map((each) => [...each, "lost on the way: missing in its numbering (seqNo)"]);
}

const ofIntakes = (numbers, unitOf, whyOf) => Object.entries(numbers).filter(([, number]) => number)
  .map(([intake, number]) => [number, unitOf(intake), INTAKES[intake] ?? intake, whyOf(intake)]);
