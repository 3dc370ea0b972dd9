// What the page begins with, its keys and its buttons.
let mode = "one";
function makeOrder() {
  const at = current(), field = byId("field").value;
  order = ITEMS.map((item, number) => number).filter((number) => {
    const item = ITEMS[number];
    return (item.how !== "group" || suspects.has(number)) && (!field || item.field === field);
  });
  if (byId("order").value === "field") order.sort((a, b) => ITEMS[a].field < ITEMS[b].field ? -1 : ITEMS[a].field > ITEMS[b].field ? 1 : a - b);
  order.sort((a, b) => suspects.has(b) - suspects.has(a));
  position = Math.max(order.indexOf(at), 0);
}
function setMode(to) {
  mode = to;
  byId("one").hidden = to !== "one";
  byId("groups").hidden = to !== "groups";
  byId("to-one").setAttribute("aria-pressed", String(to === "one"));
  byId("to-groups").setAttribute("aria-pressed", String(to === "groups"));
  warn("");
  if (to === "one") {
    makeOrder();
    if (answers[current()]) position = Math.max(order.findIndex((at) => !answers[at]), 0);
    show();
  } else { makeSheets(); showTiles(); }
}
function keyOne(event) {
  const typing = document.activeElement === byId("typed");
  if (/^[0-9.,]$/.test(event.key)) {
    if (typing && ITEMS[current()] && (ITEMS[current()].value.length > 1 || ITEMS[current()].field)) return false;
    type(event.key);
  } else if (event.key === "Enter") {
    if (document.activeElement.tagName === "BUTTON" && document.activeElement.closest("header, #others, .pad, .keys")) return false;
    accept();
  } else if (event.key === "b") answerOne("blank", "");
  else if (event.key === "x") answerOne("unreadable", "");
  else if (event.key === "u" || (event.key === "Backspace" && !(typing && byId("typed").value))) undoOne();
  else if (event.key === "p") showPage();
  else if (event.key === "ArrowRight" && !(typing && byId("typed").value)) move(1);
  else if (event.key === "ArrowLeft" && !(typing && byId("typed").value)) move(-1);
  else return false;
  return true;
}
function keyGroups(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: tilesInARow(), ArrowUp: -tilesInARow() };
  if (event.key in steps) moveTile(steps[event.key]);
  else if (event.key === " " && document.activeElement.parentElement === byId("tiles")) mark(document.activeElement);
  else if (event.key === "Enter") {
    if (document.activeElement.closest("header, #digits, #reopen")) return false;
    endPart();
  }
  else if (event.key === "u" || event.key === "Backspace") undoPart();
  else if (/^[0-9]$/.test(event.key) && sheets[event.key]) { digit = event.key; showTiles(); }
  else return false;
  return true;
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("page").open) return;
  if (["SELECT"].includes(event.target.tagName) || event.target.id === "by") return;
  let used = true;
  if (event.key === "g") setMode(mode === "one" ? "groups" : "one");
  else if (event.key === "s") save();
  else used = mode === "one" ? keyOne(event) : keyGroups(event);
  if (used) event.preventDefault();
});
for (const [id, act] of Object.entries({
  "to-one": () => setMode("one"), "to-groups": () => setMode("groups"), save,
  accept, blank: () => answerOne("blank", ""), unreadable: () => answerOne("unreadable", ""),
  skip: () => move(1), back: () => move(-1), undo: undoOne, whole: showPage, done: endPart, reopen: undoPart,
  close: () => byId("page").close(),
})) byId(id).addEventListener("click", act);
byId("typed").addEventListener("input", preview);
byId("order").addEventListener("change", () => { makeOrder(); show(); });
byId("field").addEventListener("change", () => { position = 0; setMode(mode); });
byId("by").addEventListener("change", keep);
byId("pad").append(...[..."0123456789"].map((sign) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = sign;
  button.addEventListener("click", () => type(sign));
  return button;
}));
for (const name of [...new Set(ITEMS.map((item) => item.field))].filter(Boolean).sort()) {
  const option = document.createElement("option");
  option.value = option.textContent = name;
  byId("field").append(option);
}
if (DATA.pages.length > 1) {
  DATA.pages.forEach((name, at) => {
    const link = document.createElement(at + 1 === DATA.page ? "b" : "a");
    link.textContent = ` ${at + 1}`;
    if (link.tagName === "A") link.href = name;
    byId("pages").append(link);
  });
}
addEventListener("beforeprint", () => {
  const table = document.createElement("table");
  for (const at of order.filter((number) => !answers[number]).slice(0, 2000)) {
    const item = ITEMS[at], row = table.insertRow();
    const cell = row.insertCell();
    if (item.strip) { const picture = document.createElement("img"); picture.src = item.strip; picture.alt = ""; cell.append(picture); }
    row.insertCell().textContent = `${item.file}${item.page > 1 ? `, page ${item.page}` : ""} ${item.field}`;
    row.insertCell().textContent = `${item.value || "not read"} ${item.confidence || ""}`;
    row.insertCell().textContent = item.detail;
    row.insertCell().className = "space";
  }
  byId("print").replaceChildren(table);
});
addEventListener("afterprint", () => byId("print").replaceChildren());
restore();
makeOrder();
position = Math.max(order.findIndex((at) => !answers[at]), 0);
show();
document.documentElement.dataset.ready = "yes";
