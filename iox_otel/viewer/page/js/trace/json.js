// Texts that are JSON, laid out to be read.

const MOST_INDENTS = 20;
const TOKEN = /"(?:[^"\\]|\\.)*"|[[{]\s*[\]}]|\s+|[[\]{},:]/g;

/** Whether *text* is an object or an array of JSON. */
export function isJson(text) {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** *text*, which is JSON, over lines and indented; its numbers and texts stay as they are written. */
export function laidOut(text) {
  let depth = 0;
  const newLine = () => `\n${"  ".repeat(Math.min(depth, MOST_INDENTS))}`;
  const laid = {
    "{": (token) => { depth++; return token + newLine(); },
    "}": (token) => { depth--; return newLine() + token; },
    ",": (token) => token + newLine(),
    ":": () => ": ",
  };
  laid["["] = laid["{"];
  laid["]"] = laid["}"];
  return text.replace(TOKEN, (token) => laid[token]?.(token) ?? token.trim());
}
