// How wide letters are, and as many of them as there is room for: a drawing has no ellipsis of its own.

const ruler = document.createElement("canvas").getContext("2d");

/** The width of *text* in the page's font at *size* px. */
export function widthOf(text, size, weight = 400) {
  ruler.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** *text*, or as much of its beginning as is not wider than *width* with an ellipsis. */
export function cut(text, width, size, weight = 400) {
  if (widthOf(text, size, weight) <= width) return text;
  const letters = [...text];
  while (letters.length && widthOf(`${letters.join("")}…`, size, weight) > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}
