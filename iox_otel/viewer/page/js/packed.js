// A trace comes packed: equal attributes once, and what a span does not have not at all.

const NONE = Object.freeze([]);
const UNSET = Object.freeze({code: 0, message: ""});

/** Return *trace* with attributes, [key, type, value] each, where they belong, and nothing absent. */
export function unpacked(trace) {
  const put = (holder) => ({...holder, attributes: holder.attributes.map((number) => trace.attributes[number])});
  const span = (raw) => {
    raw.attributes = raw.attributes.map((number) => trace.attributes[number]);
    raw.status ??= UNSET;
    raw.events = raw.events?.map(put) ?? NONE;
    raw.links = raw.links?.map(put) ?? NONE;
    raw.state ??= "";
    raw.flags ??= 0;
    return raw;
  };
  return {...trace, resources: trace.resources.map(put), scopes: trace.scopes.map(put), spans: trace.spans.map(span)};
}
