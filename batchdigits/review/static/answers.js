// What was answered: kept in this browser, or by the server that served the page.
const DATA = JSON.parse(document.getElementById("data").textContent);
const ITEMS = DATA.items;
const KEY = `batchdigits-review-${DATA.id}`;
const COLUMNS = ["file", "page", "field", "answer", "value", "said_by", "said_at", "how", "read_value",
  "read_confidence", "read_status", "template", "content", "box", "version"];
const byId = (id) => document.getElementById(id);
let answers = {}; // by the item's number: {answer, value, at, how}
let history = []; // lists of the numbers that one step answered, with what they had before
let seen = {}; // tiles that were confirmed in groups
let suspects = new Set(); // numbers of the items that were marked in a group
function restore() {
  ITEMS.forEach((item, at) => { if (item.said) answers[at] = { ...item.said, at: "", how: item.how, old: true }; });
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) || "{}");
    Object.assign(answers, kept.answers || {});
    for (const at of kept.withdrawn || []) delete answers[at];
    seen = kept.seen || {};
    suspects = new Set(kept.suspects || []);
    byId("by").value = DATA.by || localStorage.getItem("batchdigits-review-by") || "";
    byId("kept").textContent = DATA.served ? "" : "Answers are kept in this browser until you save them.";
  } catch (fault) {
    byId("by").value = DATA.by;
    byId("kept").textContent = "This browser keeps nothing: save before you close the page.";
  }
}
let timer = 0;
function keep() {
  if (timer) return;
  timer = setTimeout(keepNow, 150);
}
function keepNow() {
  clearTimeout(timer);
  timer = 0;
  const withdrawn = ITEMS.map((item, at) => at).filter((at) => ITEMS[at].said && !answers[at]);
  try {
    localStorage.setItem(KEY, JSON.stringify({ answers, withdrawn, seen, suspects: [...suspects] }));
    localStorage.setItem("batchdigits-review-by", byId("by").value);
  } catch (fault) { byId("kept").textContent = "This browser keeps nothing: save before you close the page."; }
}
addEventListener("pagehide", keepNow);
function settle(numbers, answer, value, how) {
  const now = new Date().toISOString().slice(0, 19) + "Z";
  history.push(numbers.map((at) => [at, answers[at]]));
  for (const at of numbers) {
    const said = value === undefined ? ITEMS[at].value : value;
    answers[at] = { answer, value: answer === "value" ? said : "", at: now, how: how || ITEMS[at].how };
  }
  keep();
  send(numbers);
}
function undo() {
  const step = history.pop();
  if (!step) return null;
  for (const [at, before] of step) {
    if (before) answers[at] = before; else delete answers[at];
  }
  keep();
  send(step.map(([at]) => at));
  return step[0] ? step[0][0] : null;
}
function line(at) {
  const item = ITEMS[at], said = answers[at] || { answer: "withdrawn", value: "", how: item.how };
  return { file: item.file, page: item.page, field: item.field, answer: said.answer, value: said.value,
    said_by: byId("by").value.trim(), said_at: said.at || new Date().toISOString().slice(0, 19) + "Z",
    how: said.how, read_value: item.value, read_confidence: item.confidence || "", read_status: item.status,
    template: item.template, content: item.content, box: item.box, version: 1 };
}
function quote(cell) {
  let text = String(cell).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
  if (/^\s*[=+\-@]/.test(text) && !/^-?[0-9 -]+$/.test(text)) text = `'${text}`;
  return /[",;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
function makeCsv() {
  const rows = ITEMS.map((item, at) => at).filter((at) => answers[at] ? !answers[at].old : ITEMS[at].said);
  return [COLUMNS, ...rows.map((at) => { const one = line(at); return COLUMNS.map((name) => one[name]); })]
    .map((cells) => cells.map(quote).join(",") + "\n").join("");
}
function save() {
  keepNow();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([makeCsv()], { type: "text/csv;charset=utf-8" }));
  link.download = DATA.pages.length > 1 ? `corrections-${DATA.page}.csv` : "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
let waiting = [], sending = false;
function send(numbers) {
  if (!DATA.served) return;
  waiting.push(...numbers.map(line));
  if (!sending) sendNow();
}
async function sendNow() {
  sending = true;
  while (waiting.length) {
    const part = waiting.slice(0, 500);
    try {
      const done = await fetch("answers", { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify(part) });
      if (!done.ok) throw new Error(await done.text());
      waiting = waiting.slice(part.length);
      warn("");
    } catch (fault) {
      warn(`Not written: ${fault.message}. It is tried again; this browser keeps the answers.`);
      await new Promise((go) => setTimeout(go, 2000));
    }
  }
  sending = false;
}
function warn(text) {
  byId("warning").textContent = text;
  byId("warning").hidden = !text;
}
