// The keys of the trace's page.

/** Its keys as js/keys.js takes them; *page*() is what `showTrace` returned, null until the trace is here. */
export function shortcutsOf(page) {
  const key = (keys, text, act) => ({keys, text, run: (event) => page() !== null && act(page(), event)});
  const go = (keys, text, act) => key(keys, text, ({session}, event) => inTimeline(session, keys, event) && onRows(page(), act));
  const anywhere = (keys, text, act) => key(keys, text, (at) => onRows(at, act));
  return [
    key(["/"], "find in the trace", ({find}) => done(find.focus())),
    go(["j", "ArrowDown"], "next span", (session) => session.move(1)),
    go(["k", "ArrowUp"], "previous span", (session) => session.move(-1)),
    go(["PageDown"], "twenty spans on", (session) => session.move(20)),
    go(["PageUp"], "twenty spans back", (session) => session.move(-20)),
    go(["Home"], "first span", (session) => session.move(-Infinity)),
    go(["End"], "last span", (session) => session.move(Infinity)),
    go(["ArrowRight"], "expand, then to the first child", (session) => session.inward()),
    go(["ArrowLeft"], "collapse, then to the parent", (session) => session.outward()),
    key(["Enter"], "details of the span", (at, event) => inTimeline(at.session, [], event) && openDetails(at)),
    anywhere(["e"], "next error", (session) => session.error(1)),
    anywhere(["E"], "previous error", (session) => session.error(-1)),
    anywhere(["n"], "next match", (session) => session.step(1)),
    anywhere(["N"], "previous match", (session) => session.step(-1)),
    go(["["], "collapse one level", (session) => session.fold("less")),
    go(["]"], "expand one level", (session) => session.fold("more")),
    go(["z"], "zoom to the span", (session) => session.current && session.zoomTo(session.current)),
    {...key(["Escape"], "back: menu, find, details, zoom", stepBack), whileTyping: true},
  ];
}

const done = () => true;

/** Change what is shown of the rows, and have the focus there if nothing else has it. */
function onRows({session, focusRows}, act) {
  act(session);
  const focused = document.activeElement;
  if (!focused || focused === document.body || focused.id === "main") focusRows();
  return true;
}

/** Whether keys mean the rows now; within the details the arrows scroll. */
function inTimeline(session, keys, event) {
  if (session.view !== "timeline") return false;
  return !(event.target.closest?.(".detail") && !keys.some((name) => name.length === 1 && name === event.key));
}

function openDetails({session, focusDetail}) {
  if (!session.current) return true;
  session.select(session.current, !session.opened);
  if (session.opened) focusDetail();
  return true;
}

/** Close one thing, the nearest first. Other fields of the page are left to it. */
function stepBack({session, find, menu, back, focusRows}, event) {
  if (menu.close()) return true;
  if (find.hasFocus()) {
    if (find.clear()) session.find("");
    focusRows();
    return true;
  }
  if (event.target.matches("input, textarea, select")) return false;
  if (back()) return true;
  if (session.opened) {
    session.close();
    focusRows();
  } else if (session.query) {
    find.clear();
    session.find("");
  } else session.zoom(null);
  return true;
}
