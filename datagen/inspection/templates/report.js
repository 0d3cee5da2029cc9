const STEP = 24;
const cards = [...document.querySelectorAll("#cards .card")];
const chosen = { state: "", rule: "", alone: false, text: "", most: STEP };
const rule = document.getElementById("rule");
const alone = document.getElementById("alone");
const dialog = document.getElementById("dialog");
const opened = document.getElementById("opened");

function fits(card) {
  const rules = card.dataset.rules.split(" ").filter(Boolean);
  return (!chosen.state || card.dataset.state === chosen.state)
    && (!chosen.rule || rules.includes(chosen.rule))
    && (!chosen.alone || rules.length === 1)
    && (!chosen.text || card.textContent.toLowerCase().includes(chosen.text));
}

function show() {
  const fitting = cards.filter(fits);
  const visible = new Set(fitting.slice(0, chosen.most));
  for (const card of cards) card.hidden = !visible.has(card);
  document.getElementById("shown").textContent = `${visible.size} / ${fitting.length}`;
  document.getElementById("further").hidden = fitting.length <= visible.size;
  for (const button of document.querySelectorAll("#filters [data-state]")) {
    button.setAttribute("aria-pressed", String(button.dataset.state === chosen.state));
  }
  rule.value = chosen.rule;
  alone.checked = chosen.alone;
}

function choose(changes) {
  Object.assign(chosen, { most: STEP }, changes);
  show();
}

function open(card) {
  const copy = card.cloneNode(true);
  copy.removeAttribute("tabindex");
  copy.classList.add("opened");
  opened.replaceChildren(copy);
  dialog.showModal();
}

for (const button of document.querySelectorAll("#filters [data-state]")) {
  button.addEventListener("click", () => choose({ state: button.dataset.state }));
}
for (const button of document.querySelectorAll("button.rule")) {
  button.addEventListener("click", () => {
    choose({ rule: button.dataset.rule, state: "", text: "" });
    document.getElementById("search").value = "";
    document.getElementById("samples").scrollIntoView();
  });
}
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
rule.addEventListener("change", () => choose({ rule: rule.value }));
alone.addEventListener("change", () => choose({ alone: alone.checked }));
document.getElementById("search").addEventListener("input", (event) => choose({ text: event.target.value.toLowerCase() }));
document.getElementById("further").addEventListener("click", () => choose({ most: chosen.most + STEP }));
for (const card of cards) {
  card.addEventListener("click", () => { if (!String(getSelection())) open(card); });
  card.addEventListener("keydown", (event) => { if (event.key === "Enter") open(card); });
}
document.getElementById("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
show();
