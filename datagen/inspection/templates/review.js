const sheet = JSON.parse(document.getElementById("sheet").textContent);
const hits = [...document.querySelectorAll(".hit")];
const note = document.getElementById("note");
const dots = document.getElementById("dots");
const KEYS = { t: "true", f: "false", u: "unsure" };
let marks = {};
let place = 0;

try { marks = JSON.parse(memory.get(sheet.key)) || {}; } catch { marks = {}; }

function keep() {
  document.getElementById("not-kept").hidden = memory.set(sheet.key, JSON.stringify(marks));
}

// The Wilson score interval, 95 %.
function interval(right, all) {
  const z = 1.959963984540054;
  const share = right / all;
  const centre = share + z * z / (2 * all);
  const spread = z * Math.sqrt(share * (1 - share) / all + z * z / (4 * all * all));
  return [centre - spread, centre + spread].map((bound) => Math.round(100 * bound / (1 + z * z / all)));
}

function show() {
  hits.forEach((hit, number) => { hit.hidden = number !== place; });
  [...dots.children].forEach((dot, number) => {
    dot.className = (marks[number] && marks[number].mark) || "";
    dot.setAttribute("aria-current", String(number === place));
  });
  const mark = marks[place] || {};
  note.value = mark.note || "";
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mark === mark.mark));
  }
  document.getElementById("place").textContent = `${place + 1} / ${hits.length}`;
  const given = Object.values(marks).map((one) => one.mark);
  const right = given.filter((one) => one === "true").length;
  const all = right + given.filter((one) => one === "false").length;
  const [low, high] = all ? interval(right, all) : [];
  document.getElementById("tally").textContent = all
    ? `${Math.round(100 * right / all)} % (${low}–${high} %), n = ${all}` : "";
}

function go(to) {
  place = Math.min(Math.max(to, 0), hits.length - 1);
  show();
  scrollTo({ top: 0 });
}

function give(mark) {
  marks[place] = { ...marks[place], mark };
  keep();
  go(place + 1);
}

function clear() {
  delete marks[place];
  keep();
  show();
}

function quoted(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function guarded(cell) {
  return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
}

function exported() {
  const mark = sheet.columns.indexOf("mark");
  const remark = sheet.columns.indexOf("note");
  const lines = sheet.lines.map((line, number) => {
    const given = marks[number] || {};
    return line.with(mark, given.mark || "").with(remark, guarded(given.note || ""));
  });
  return `\ufeff${[sheet.columns, ...lines].map((line) => line.map(quoted).join(",")).join("\r\n")}\r\n`;
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([exported()], { type: "text/csv" }));
  link.download = sheet.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

hits.forEach((_, number) => {
  const dot = document.createElement("button");
  dot.type = "button";
  dot.title = String(number + 1);
  dot.addEventListener("click", () => go(number));
  dots.append(dot);
});
for (const button of document.querySelectorAll("[data-mark]")) {
  button.addEventListener("click", () => give(button.dataset.mark));
}
note.addEventListener("input", () => {
  marks[place] = { ...marks[place], note: note.value };
  keep();
});
document.getElementById("back").addEventListener("click", () => go(place - 1));
document.getElementById("on").addEventListener("click", () => go(place + 1));
document.getElementById("clear").addEventListener("click", clear);
document.getElementById("export").addEventListener("click", save);
addEventListener("keydown", (event) => {
  if (event.target === note) {
    if (event.key === "Escape" || event.key === "Enter") note.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (KEYS[key]) give(KEYS[key]);
  else if (key === "j" || key === "arrowright") go(place + 1);
  else if (key === "k" || key === "arrowleft") go(place - 1);
  else if (key === "x") clear();
  else if (key === "e") save();
});
const open = hits.findIndex((_, number) => !(marks[number] && marks[number].mark));
go(open < 0 ? 0 : open);
