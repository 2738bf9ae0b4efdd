// The server's stream of news: traces as they arrive, and the status.

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8000;

/**
 * One stream for the page. Listeners of "trace" (a row) and "status" get what came; those of "open"
 * are called whenever the stream begins (again), when things may have been missed; those of "state"
 * when `isOpen` changed.
 *
 * While the page is hidden the stream is closed: a browser gives a host six connections, and six
 * forgotten tabs would leave none to open a seventh.
 */
export class Live {
  #listeners = new Map();
  #source = null;
  #retry = null;
  #retryMs = FIRST_RETRY_MS;
  #address;
  isOpen = false;

  constructor(address) {
    this.#address = address;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.#follow());
    window.addEventListener("pagehide", () => this.#close());
    window.addEventListener("pageshow", (event) => event.persisted && this.#follow());
    this.#follow();
  }

  /** Call *listener* with the data of every *type*; returns a function that ends that. */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  #follow() {
    if (document.hidden) this.#close();
    else if (!this.#source) this.#connect();
  }

  #connect() {
    clearTimeout(this.#retry);
    const source = new EventSource(this.#address);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#turn(true);
      this.#tell("open", null);
    });
    source.addEventListener("error", () => this.#reconnect());
    for (const type of ["trace", "status"]) {
      source.addEventListener(type, (event) => this.#tell(type, JSON.parse(event.data)));
    }
  }

  // The browser gives up on an answer that is not 200, so it is done here, ever more slowly.
  #reconnect() {
    this.#close();
    this.#turn(false);
    if (document.hidden) return;
    this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #turn(isOpen) {
    if (this.isOpen === isOpen) return;
    this.isOpen = isOpen;
    this.#tell("state", isOpen);
  }

  #tell(type, data) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(data);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
