// The merged tree of two traces as a tree grid.

import {tint} from "../colours.js";
import {el, fill, set} from "../dom.js";
import {count, counted, duration, line} from "../format.js";

const MOST_LEVELS = 30;
const INDENT = 14;
const MOST_ROWS = 2000;
/** More positions than these would not go into an address. */
const MOST_FOLDED = 50;
const SIGNS = {"only-a": ["−", "only in A"], "only-b": ["+", "only in B"], errors: ["≠", "more or fewer errors"],
  count: ["≠", "more or fewer spans"], name: ["≠", "named differently"], same: ["", ""]};

/** `element`; `show(places, onlyDifferences, folded)`. */
export class Tree {
  #places = [];
  #only = false;
  #collapsed = new Set();
  #longest = 1;
  #tell;
  #body = el("tbody");
  #more = el("p", {class: "dim more"});

  /** *tell*(folded) is called when something folds: positions among the places, "all", or "". */
  constructor(tell) {
    this.#tell = tell;
    this.element = el("div", {class: "merged"}, el("table", {class: "table", role: "treegrid", "aria-label": "Both traces, merged"},
      el("colgroup", ["sign", "name", "count", "count", "time", "bars", "time", "change"].map((name) => el("col", {class: `of-${name}`}))),
      el("thead", el("tr", el("th", el("span", {class: "unseen"}, "Difference")), el("th", "Service and operation"),
        el("th", {class: "number"}, "A spans"), el("th", {class: "number"}, "B spans"),
        el("th", {class: "number"}, "A time"), el("th", el("span", {class: "unseen"}, "Times as bars")), el("th", {class: "number"}, "B time"),
        el("th", {class: "number"}, "Change"))), this.#body), this.#more);
    this.#body.addEventListener("keydown", (event) => this.#press(event));
  }

  show(places, onlyDifferences, folded) {
    const isNew = places !== this.#places;
    this.#places = places;
    // Folds that are too many for the address stay while it says the same.
    if (isNew || folded !== this.#folded()) this.#collapsed = new Set(foldedAt(places, folded));
    this.#only = onlyDifferences;
    this.#longest = places.reduce((most, {a, b}) => Math.max(most, a.total, b.total), 1);
    this.#draw();
  }

  /** Focus the row *step* after the focused one. */
  move(step) {
    const rows = [...this.#body.rows];
    const at = rows.indexOf(document.activeElement?.closest?.("tr"));
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
    this.#focus(next);
    return Boolean(next);
  }

  /** Collapse or expand everything. */
  turnAll(collapse) {
    this.#collapsed = new Set(collapse ? foldedAt(this.#places, "all") : []);
    this.#draw();
    this.#told();
  }

  #told() {
    if (this.#places.length) this.#tell(this.#folded());
  }

  #folded() {
    const {size} = this.#collapsed;
    if (!size) return "";
    if (size === foldedAt(this.#places, "all").length) return "all";
    if (size > MOST_FOLDED) return "";
    return this.#places.flatMap((place, i) => (this.#collapsed.has(place) ? [i] : [])).join(",");
  }

  #draw() {
    const shown = this.#shown();
    fill(this.#body, shown.slice(0, MOST_ROWS).map((place) => this.#row(place)));
    this.#more.textContent = shown.length > MOST_ROWS ? `${counted(shown.length - MOST_ROWS, "row")} more: collapse some, or see the differences only.` : "";
    if (!shown.length) fill(this.#body, el("tr", el("td", {colspan: 8, class: "dim"}, "Both have the same spans in the same places.")));
  }

  #shown() {
    const shown = [];
    for (let i = 0; i < this.#places.length; i++) {
      const place = this.#places[i];
      if (this.#only && !place.differs && !place.differsBelow) i += place.below;
      else {
        shown.push(place);
        if (this.#collapsed.has(place)) i += place.below;
      }
    }
    return shown;
  }

  #row(place) {
    const {a, b, difference} = place;
    const [sign, meaning] = SIGNS[difference];
    const row = el("tr", {class: `is-${difference}`, tabindex: -1, "aria-level": place.depth + 1, style: tint(place.service),
      "aria-expanded": place.below ? String(!this.#collapsed.has(place)) : null, on: {click: () => this.#focus(row)}},
    el("td", {class: "sign", title: meaning}, el("span", {"aria-hidden": "true"}, sign), el("span", {class: "unseen"}, meaning)),
    el("td", {class: "clip", title: [place, place.inB].filter(Boolean).map((each) => line(`${each.service}: ${each.name}`, 1000)).join("\n")}, this.#name(place)),
    countCell(a), countCell(b), el("td", {class: "number"}, timeOf(a)), this.#bars(a, b), el("td", {class: "number"}, timeOf(b)),
    changeCell(a, b));
    row.place = place;
    return row;
  }

  #name(place) {
    const levels = Math.min(place.depth, MOST_LEVELS);
    const isOpen = !this.#collapsed.has(place);
    const turn = place.below ? el("button", {type: "button", class: "turn", tabindex: -1, "aria-label": isOpen ? "Collapse" : "Expand",
      on: {click: (event) => { event.stopPropagation(); this.#turn(place); }}}, isOpen ? "▾" : "▸") : el("span", {class: "turn"});
    return el("span", {class: "place", style: {"padding-left": `${levels * INDENT}px`}}, turn,
      place.inB ? [letter("a"), named(place), el("span", {class: "in-b", style: tint(place.inB.service)}, letter("b"), named(place.inB))] : named(place));
  }

  #bars(a, b) {
    const bar = (which, at) => el("span", {class: `bar of-${which} ${at.count ? "" : "none"}`,
      style: {width: `${(at.total / this.#longest) * 100}%`}});
    return el("td", {class: "bars", "aria-hidden": "true"}, bar("a", a), bar("b", b));
  }

  #turn(place) {
    if (this.#collapsed.has(place)) this.#collapsed.delete(place);
    else this.#collapsed.add(place);
    this.#draw();
    this.#told();
    this.#focus([...this.#body.rows].find((row) => row.place === place));
  }

  #focus(row) {
    for (const other of this.#body.querySelectorAll('tr[tabindex="0"]')) set(other, {tabindex: -1});
    if (!row) return;
    set(row, {tabindex: 0});
    row.focus({preventScroll: true});
    row.scrollIntoView({block: "nearest"});
  }

  #press(event) {
    const place = event.target.place;
    if (!place?.below) return;
    const isClosed = this.#collapsed.has(place);
    const toggles = event.key === "Enter" || (event.key === "ArrowRight" && isClosed) || (event.key === "ArrowLeft" && !isClosed);
    if (!toggles) return;
    event.preventDefault();
    this.#turn(place);
  }
}

/** The places that *folded* names, see `Tree`. */
function foldedAt(places, folded) {
  const wanted = folded === "all" ? places : folded.split(",", MOST_FOLDED).map((position) => places[position]);
  return wanted.filter((place) => place?.below);
}

const letter = (which) => el("b", {class: `letter of-${which}`}, which.toUpperCase());

const named = ({service, name}) => [el("span", {class: "swatch", "aria-hidden": "true"}),
  el("bdi", {class: "dim"}, line(service, 60) || "(no name)"), " ", el("bdi", line(name, 200) || "(no name)")];

const countCell = (at) => el("td", {class: "number"}, at.count ? count(at.count) : el("span", {class: "dim"}, "–"),
  at.errors ? el("span", {class: "bad", title: counted(at.errors, "error")}, ` ${count(at.errors)} err`) : null);

const timeOf = (at) => (at.count ? duration(at.total) : el("span", {class: "dim"}, "–"));

/** How much longer B took than A; a change of less than 5 % is no news. */
function changeCell(a, b) {
  if (!a.count || !b.count) return el("td", {class: "number"});
  const change = b.total - a.total;
  const share = a.total ? change / a.total : 0;
  const isNews = Math.abs(share) >= 0.05 || (!a.total && change);
  const percent = a.total ? ` ${change < 0 ? "−" : "+"}${Math.abs(share) > 9.995 ? `×${(b.total / a.total).toFixed(0)}` : `${Math.abs(share * 100).toFixed(0)}%`}` : "";
  return el("td", {class: `number ${isNews ? (change > 0 ? "slower" : "faster") : "dim"}`},
    `${change > 0 ? "+" : ""}${duration(change)}`, el("span", {class: "percent"}, percent.replace("+×", "×")));
}
