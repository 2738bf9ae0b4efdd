// The form of a search. What is changed in it goes to the address; the address fills it.

import {el, fill, set} from "../dom.js";
import {line} from "../format.js";
import {DEFAULT_LIMIT, LIMITS, LOOKBACKS, limitOf} from "./query.js";

const CUSTOM = "custom";
const NAMES = ["service", "operation", "tags", "minDuration", "maxDuration", "start", "end", "errors", "limit", "lookback"];

/** `element`; `show(params)`, `offer(services)`, `blame(mistakes)`, `focus()`; calls *apply(changes)*. */
export class Form {
  #fields = {
    service: select("service"),
    operation: select("operation"),
    tags: text("tags", "http.method=GET error"),
    minDuration: text("minDuration", "1.5ms"),
    maxDuration: text("maxDuration", "2s"),
    lookback: el("select", {name: "lookback"}, options([...LOOKBACKS, [CUSTOM, "from … to …"]])),
    start: moment("start"),
    end: moment("end"),
    limit: el("select", {name: "limit"}, options(LIMITS.map((limit) => [String(limit), String(limit)]))),
    errors: el("input", {type: "checkbox", name: "errors"}),
  };
  #faults = {};
  #range;
  #services = [];
  #apply;

  constructor(apply) {
    this.#apply = apply;
    const {service, operation, tags, minDuration, maxDuration, lookback, start, end, limit, errors} = this.#fields;
    this.#range = el("div", {class: "range", hidden: true}, this.#field("From", start), this.#field("To", end));
    this.element = el("form", {class: "search-form", "aria-label": "Search for traces", novalidate: true, autocomplete: "off",
      on: {submit: (event) => this.#submit(event), change: (event) => this.#change(event)}},
      this.#field("Service", service),
      this.#field("Operation", operation),
      this.#field("Tags (logfmt)", tags),
      el("div", {class: "pair"}, this.#field("Takes at least", minDuration), this.#field("At most", maxDuration)),
      this.#field("Time", lookback),
      this.#range,
      el("div", {class: "pair"}, this.#field("Limit", limit), el("label", {class: "check"}, errors, "Errors only")),
      el("div", {class: "pair"}, el("button", {class: "primary"}, "Find traces"),
        el("button", {type: "button", on: {click: () => this.#clear()}}, "Clear")),
      el("p", {class: "dim hint"}, "All conditions hold on one span. A tag may be the span’s, its process’s or in its events."));
  }

  /** Fill the fields with the search of the address. */
  show(params) {
    const {service, operation, tags, minDuration, maxDuration, lookback, start, end, limit, errors} = this.#fields;
    for (const field of [tags, minDuration, maxDuration]) field.value = params.get(field.name) ?? "";
    choose(limit, String(limitOf(params)));
    errors.checked = Boolean(params.get("errors"));
    const custom = params.has("start") || params.has("end");
    choose(lookback, custom ? CUSTOM : params.get("lookback") ?? "");
    this.#range.hidden = !custom;
    start.value = local(params.get("start"));
    end.value = local(params.get("end"));
    this.#offer(service, this.#services.map((each) => each.name), "any service", params.get("service") ?? "");
    this.#offer(operation, this.#operations(params.get("service")), "any operation", params.get("operation") ?? "");
  }

  /** Let these be chosen: [{name, operations}]. */
  offer(services, params) {
    this.#services = services;
    this.#offer(this.#fields.service, services.map((each) => each.name), "any service", params.get("service") ?? "");
    this.#offer(this.#fields.operation, this.#operations(params.get("service")), "any operation", params.get("operation") ?? "");
  }

  /** Say what is wrong: {name of a field: text}. */
  blame(mistakes) {
    for (const [name, fault] of Object.entries(this.#faults)) {
      fault.textContent = mistakes[name] ?? "";
      set(this.#fields[name], {"aria-invalid": mistakes[name] ? "true" : null});
    }
  }

  focus() {
    this.#fields.tags.focus();
    this.#fields.tags.select();
  }

  #operations(service) {
    const chosen = service ? this.#services.filter((each) => each.name === service) : this.#services;
    return [...new Set(chosen.flatMap((each) => each.operations))].sort();
  }

  // What is chosen stays a choice even if nothing is called so (any more).
  #offer(field, names, none, chosen) {
    if (chosen && !names.includes(chosen)) names = [...names, chosen];
    const key = JSON.stringify(names);
    if (field.dataset.names !== key) {
      fill(field, options([["", none], ...names.map((name) => [name, line(name, 80) || "(no name)"])]));
      field.dataset.names = key;
    }
    field.value = chosen;
  }

  #field(label, field) {
    const id = `search-${field.name}`;
    const fault = el("span", {class: "bad fault", id: `${id}-fault`});
    set(field, {id, "aria-describedby": fault.id});
    this.#faults[field.name] = fault;
    return el("div", {class: "field"}, el("label", {class: "label", for: id}, label), field, fault);
  }

  #submit(event) {
    event.preventDefault();
    this.#apply(this.#values());
  }

  #change({target}) {
    if (target === this.#fields.lookback && target.value === CUSTOM) return this.#beginRange();
    const changes = this.#values();
    if (target === this.#fields.service) changes.operation = null;
    this.#apply(changes);
  }

  #beginRange() {
    this.#range.hidden = false;
    this.#fields.start.focus();
  }

  #values() {
    const {lookback, start, end, errors, limit} = this.#fields;
    const custom = lookback.value === CUSTOM;
    return {
      ...Object.fromEntries(["service", "operation"].map((name) => [name, this.#fields[name].value])),
      ...Object.fromEntries(["tags", "minDuration", "maxDuration"].map((name) => [name, this.#fields[name].value.trim()])),
      lookback: custom ? null : lookback.value,
      start: custom ? micros(start.value) : null,
      end: custom ? micros(end.value) : null,
      errors: errors.checked ? "1" : null,
      limit: limit.value === String(DEFAULT_LIMIT) ? null : limit.value,
      traceID: null,
    };
  }

  #clear() {
    this.#apply(Object.fromEntries([...NAMES, "traceID"].map((name) => [name, null])));
  }
}

const select = (name) => el("select", {name});
const text = (name, placeholder) =>
  el("input", {type: "text", name, placeholder, spellcheck: "false", autocapitalize: "off", class: "mono"});
const moment = (name) => el("input", {type: "datetime-local", name, step: "0.001"});
const options = (pairs) => pairs.map(([value, label]) => el("option", {value}, label));

function choose(field, value) {
  if (![...field.options].some((option) => option.value === value)) field.append(...options([[value, line(value, 30)]]));
  field.value = value;
}

/** A local date and time, as the field has it, in microseconds; "" stays "". */
function micros(value) {
  const ms = new Date(value).getTime();
  return value && Number.isFinite(ms) ? String(ms * 1000) : null;
}

/** Microseconds as the field takes them: local, without a zone. */
function local(value) {
  const at = new Date(Number(value) / 1000);
  if (!value || Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 23);
}
