// In groups: all digits that were read alike, the most unlike first.
const PER_SHEET = 150;
let sheets = {}; // by digit: lists of [number of the item, place of the digit in its value]
let digit = "", part = 0, marked = new Set(), steps = [];
function makeSheets() {
  sheets = {};
  ITEMS.forEach((item, at) => {
    if (!item.ranks || (byId("field").value && item.field !== byId("field").value)) return;
    [...item.value.replace(".", "")].forEach((sign, place) => { (sheets[sign] ||= []).push([at, place]); });
  });
  for (const sign of Object.keys(sheets)) {
    sheets[sign].sort((one, other) => ITEMS[one[0]].ranks[one[1]] - ITEMS[other[0]].ranks[other[1]]);
  }
}
const open = (sign) => sheets[sign].filter(([at, place]) => !seen[`${at}.${place}`] && !answers[at] && !suspects.has(at));
function showDigits() {
  byId("digits").replaceChildren(...Object.keys(sheets).sort().map((sign) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${sign} (${open(sign).length})`;
    button.setAttribute("aria-pressed", String(sign === digit));
    button.addEventListener("click", () => { digit = sign; showTiles(); });
    return button;
  }));
}
function showTiles() {
  if (!sheets[digit]) digit = Object.keys(sheets).sort()[0] || "";
  marked = new Set();
  showDigits();
  showCount();
  const left = digit ? open(digit) : [];
  byId("sheet").textContent = digit ? `Read as ${digit}: ${Math.min(PER_SHEET, left.length)} of ${left.length} left` : "No digits to show.";
  byId("tiles").replaceChildren(...left.slice(0, PER_SHEET).map(makeTile));
  byId("done").disabled = !left.length;
  const first = byId("tiles").firstChild;
  if (first) { first.tabIndex = 0; first.focus(); }
}
function makeTile([at, place], number) {
  const item = ITEMS[at], button = document.createElement("button"), picture = document.createElement("img");
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.key = `${at}.${place}`;
  button.setAttribute("aria-pressed", "false");
  button.title = `${item.file}${item.field ? `, ${item.field}` : ""}: ${item.value}`;
  picture.src = item.tiles && item.tiles.length ? item.tiles[place] : item.strip;
  picture.alt = `Number ${number + 1}, read as ${digit}, in ${item.file}`;
  picture.decoding = "async";
  button.append(picture);
  button.addEventListener("click", () => mark(button));
  return button;
}
function mark(button) {
  const key = button.dataset.key, on = !marked.has(key);
  if (on) marked.add(key); else marked.delete(key);
  button.setAttribute("aria-pressed", String(on));
}
// Those that were marked are asked one by one; of the others that were doubtful, all digits of a
// value must have been seen before it counts as said.
function endPart() {
  const shown = [...byId("tiles").children].map((button) => button.dataset.key);
  if (!shown.length) return;
  const before = { seen: { ...seen }, suspects: new Set(suspects) };
  for (const key of shown) {
    if (marked.has(key)) suspects.add(Number(key.split(".")[0])); else seen[key] = 1;
  }
  const right = [...new Set(shown.map((key) => Number(key.split(".")[0])))].filter((at) => {
    const item = ITEMS[at];
    return !suspects.has(at) && item.how !== "group" && !answers[at]
      && [...item.value.replace(".", "")].every((sign, place) => seen[`${at}.${place}`]);
  });
  settle(right, "value", undefined, "group");
  steps.push(before);
  keep();
  makeOrder();
  if (!open(digit).length) {
    digit = Object.keys(sheets).sort().find((sign) => open(sign).length) || digit;
  }
  showTiles();
}
function undoPart() {
  const before = steps.pop();
  if (!before) return;
  undo();
  ({ seen } = before);
  suspects = before.suspects;
  keep();
  makeOrder();
  showTiles();
}
function moveTile(step) {
  const tiles = [...byId("tiles").children], at = tiles.indexOf(document.activeElement);
  const to = tiles[Math.min(Math.max(at + step, 0), tiles.length - 1)];
  if (!to) return;
  if (at >= 0) tiles[at].tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}
function tilesInARow() {
  return getComputedStyle(byId("tiles")).gridTemplateColumns.split(" ").length;
}
