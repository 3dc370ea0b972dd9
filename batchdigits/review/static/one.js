// One by one: a picture, what was read, and an answer.
let order = []; // numbers of the items, in the order in which they are asked
let position = 0;
let asked = null; // a value that breaks its rule, for which Enter must be pressed once more
const current = () => order[position];
function showPicture(figure, item) {
  figure.replaceChildren();
  if (!item.strip) {
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = `No picture: ${item.fault || "it is not known where it was"}. Its value can be typed all the same.`;
    figure.append(none);
    return;
  }
  const held = document.createElement("div"), picture = document.createElement("img");
  held.className = item.box && item.frame[2] < 1 ? "held" : "held small";
  picture.src = item.strip;
  picture.alt = `Picture of ${item.field || "the digits"} in ${item.file}`;
  held.append(picture);
  if (item.frame[2] < 1) held.append(makeFrame(item.frame));
  figure.append(held);
}
function makeFrame(frame) {
  const mark = document.createElement("span");
  mark.className = "frame";
  ["left", "top", "width", "height"].forEach((side, at) => { mark.style[side] = `${100 * frame[at]}%`; });
  return mark;
}
function showReading(item) {
  const read = byId("read"), value = document.createElement("b");
  const doubtful = new Set(item.doubtful || []);
  [...item.value].forEach((sign, at) => {
    const part = document.createElement(doubtful.has(at) ? "mark" : "span");
    part.textContent = sign;
    value.append(part);
  });
  read.replaceChildren(item.value ? value : "not read", item.confidence === null ? "" : ` ${item.confidence}`);
  const said = answers[current()];
  if (said) {
    const mark = document.createElement("span");
    mark.className = "answer";
    mark.textContent = said.answer === "value" ? ` ✓ ${said.value}` : ` ✓ ${said.answer}`;
    read.append(mark);
  }
}
function show() {
  asked = null;
  byId("typed").value = "";
  const empty = !order.length, item = empty ? null : ITEMS[current()];
  for (const id of ["accept", "blank", "unreadable", "skip", "back", "whole", "typed"]) byId(id).disabled = empty;
  showCount();
  if (empty) {
    byId("figure").textContent = "Nothing to settle here.";
    for (const id of ["where", "read", "detail", "others", "becomes"]) byId(id).replaceChildren();
    return;
  }
  showPicture(byId("figure"), item);
  const label = (item.rule && item.rule.label) || item.field;
  byId("where").textContent = `${position + 1} of ${order.length}: ${item.file}${item.page > 1 ? `, page ${item.page}` : ""}${label ? `, ${label}` : ""}`;
  showReading(item);
  byId("detail").textContent = item.detail;
  byId("becomes").textContent = "";
  byId("others").replaceChildren(...item.others.map(([value, share]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${value} (${share.toFixed(2)})`;
    button.addEventListener("click", () => answerOne("value", value));
    return button;
  }));
  byId("whole").hidden = !item.picture && !DATA.served;
  byId("accept").disabled = !item.value;
  byId("live").textContent = `${byId("where").textContent}. ${item.value ? `Read as ${[...item.value].join(" ")}` : "Not read"}. ${item.detail}`;
}
function showCount() {
  const settled = Object.keys(answers).filter((at) => ITEMS[at] && ITEMS[at].how !== "group").length;
  const all = ITEMS.filter((item) => item.how !== "group").length;
  byId("bar").max = Math.max(all, 1);
  byId("bar").value = settled;
  byId("count").textContent = `${settled} of ${all}`;
}
function move(step) {
  position = Math.min(Math.max(position + step, 0), Math.max(order.length - 1, 0));
  show();
}
function answerOne(answer, value) {
  if (!order.length) return;
  const item = ITEMS[current()];
  const broken = answer === "value" ? brokenRule(item.rule, value)
    : answer === "blank" && item.rule && item.rule.required ? "must not be blank" : "";
  if (broken && asked !== `${answer} ${value}`) {
    asked = `${answer} ${value}`;
    warn(`${value || "Blank"} ${broken}. Enter it once more if it is written so.`);
    return;
  }
  warn("");
  settle([current()], answer, value);
  next();
}
function next() {
  for (let step = 1; step <= order.length; step++) {
    const at = (position + step) % order.length;
    if (!answers[order[at]]) { position = at; show(); return; }
  }
  show();
  byId("live").textContent = "All are settled.";
  warn("All are settled: save the corrections.");
}
function accept() {
  const item = ITEMS[current()], typed = byId("typed").value;
  if (!item) return;
  if (typed.trim()) {
    const value = combine(item, typed);
    if (value === null) warn(`${typed} is no value of digits.`); else answerOne("value", value);
  } else if (item.value) answerOne("value", item.value);
  else warn("Nothing was read here: type the value, or press b or x.");
}
function type(sign) {
  const item = ITEMS[current()];
  if (!item) return;
  if (item.value.length <= 1 && !item.field) { // one digit: the key says it all
    answerOne("value", sign);
    return;
  }
  byId("typed").value += sign;
  preview();
}
function preview() {
  const item = ITEMS[current()], value = item && combine(item, byId("typed").value);
  byId("becomes").textContent = value ? `→ ${value}` : "";
}
function undoOne() {
  if (byId("typed").value) { byId("typed").value = byId("typed").value.slice(0, -1); preview(); return; }
  const at = undo();
  if (at === null) return;
  position = Math.max(order.indexOf(at), 0);
  warn("");
  show();
}
function showPage() {
  const item = ITEMS[current()];
  if (!item) return;
  const source = DATA.served ? `page/${current()}` : DATA.pictures[item.picture];
  if (!source) return;
  const picture = document.createElement("img");
  picture.src = source;
  picture.alt = `Page ${item.page} of ${item.file}`;
  byId("sheetpicture").replaceChildren(picture);
  byId("page").showModal();
}
