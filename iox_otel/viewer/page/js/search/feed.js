// The rows of a search, and how they stay up to date.

import * as api from "../api.js";
import {msOf} from "../format.js";
import {asked, fits, isClosed, limitOf, mistakes, needsServer} from "./query.js";

const LEAST_WAIT_MS = 300;
const SHOW_EVERY_MS = 200;
const MOST_WAIT_MS = 2000;

/**
 * Asks the server, then follows the stream. What a row tells is judged here; where only the server
 * can tell whether a trace fits, it is asked again, soon after there is news, and no more than a
 * quarter of the time. Calls `on.change()` when `rows`, `isLimited`, `error`, `isWaiting` or
 * `missed` (traces that came while paused) changed.
 */
export class Feed {
  rows = [];
  isLimited = false;
  isWaiting = true;
  isPaused = false;
  isHeld = false;
  error = null;
  #on;
  #params = new URLSearchParams();
  #byId = new Map();
  #missed = new Set();
  #asking = null;
  #again = null;
  #news = false;
  #tookMs = 0;
  #drawMs = 0;
  #shown = null;
  #ends;

  constructor(app, on) {
    this.#on = on;
    this.#ends = [
      app.live.on("trace", (rows) => this.#arrive([rows].flat())),
      app.live.on("open", () => this.isOpen && !this.isPaused && this.#askSoon()),
    ];
  }

  get missed() {
    return this.#missed.size;
  }

  /** Follow the search of *params* from now on. */
  follow(params) {
    this.#params = params;
    this.#missed.clear();
    this.isWaiting = true;
    this.isHeld = false;
    this.error = null;
    this.#ask();
  }

  /** Show *error*, as `isHeld`, in place of the search of *params*, which cannot be asked. */
  hold(error, params) {
    this.#params = params;
    this.#asking?.abort();
    this.#byId.clear();
    this.rows = [];
    this.isHeld = true;
    this.error = error;
    this.isWaiting = false;
    this.#on.change();
  }

  /** Hold the list still, or let it go on, with what was missed. */
  pause(isPaused) {
    this.isPaused = isPaused;
    clearTimeout(this.#again);
    this.#again = null;
    if (!isPaused) this.follow(this.#params);
    else this.#on.change();
  }

  close() {
    for (const end of this.#ends) end();
    this.#asking?.abort();
    clearTimeout(this.#again);
    clearTimeout(this.#shown);
  }

  /** Whether new traces can come into this search. */
  get isOpen() {
    return !isClosed(this.#params) && !Object.keys(mistakes(this.#params)).length;
  }

  async #ask() {
    clearTimeout(this.#again);
    this.#again = null;
    this.#news = false;
    this.#asking?.abort();
    const asking = this.#asking = new AbortController();
    const began = performance.now();
    try {
      const {data, limited} = await api.traces(asked(this.#params), {signal: asking.signal});
      this.#byId = new Map(data.map((row) => [row.traceID, withStart(row)]));
      this.isLimited = limited;
      this.error = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      // Where nobody asked, what is shown stays; the header says that there is no viewer.
      if (error.status || this.isWaiting) {
        this.#byId.clear();
        this.error = error;
      }
    }
    this.#asking = null;
    this.#tookMs = performance.now() - began;
    this.isWaiting = false;
    this.#tell();
    if (this.#news) this.#askSoon();
  }

  #askSoon() {
    this.#news = true;
    if (this.#again || this.#asking || this.isPaused) return;
    this.#again = setTimeout(() => this.#ask(), Math.max(LEAST_WAIT_MS, 3 * this.#tookMs));
  }

  #arrive(rows) {
    if (!this.isOpen) return;
    if (this.isPaused) return this.#miss(rows);
    // While an answer is on its way, what comes may be newer than what it will have.
    if (needsServer(this.#params) || this.#asking) return this.#askSoon();
    for (const row of rows) this.#take(withStart(row));
    // Thousands of rows take long to draw: no more than a quarter of the time goes into that.
    this.#shown ??= setTimeout(() => this.#tell(), Math.min(Math.max(SHOW_EVERY_MS, 3 * this.#drawMs), MOST_WAIT_MS));
  }

  #miss(rows) {
    const before = this.#missed.size;
    for (const row of rows) {
      const isNew = !this.#byId.has(row.traceID);
      if (isNew && (needsServer(this.#params) || fits(withStart(row), this.#params))) this.#missed.add(row.traceID);
    }
    if (this.#missed.size !== before) this.#on.change();
  }

  #take(row) {
    if (fits(row, this.#params)) this.#byId.set(row.traceID, row);
  }

  #tell() {
    clearTimeout(this.#shown);
    this.#shown = null;
    const limit = limitOf(this.#params);
    this.rows = [...this.#byId.values()].sort((a, b) => b.startMs - a.startMs);
    if (this.rows.length > limit) {
      this.isLimited = true;
      for (const row of this.rows.splice(limit)) this.#byId.delete(row.traceID);
    }
    const began = performance.now();
    this.#on.change();
    this.#drawMs = performance.now() - began;
  }
}

const withStart = (row) => Object.assign(row, {startMs: msOf(row.startNs)});
