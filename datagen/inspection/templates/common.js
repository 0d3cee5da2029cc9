"use strict";

const page = document.documentElement;

// Storage may be refused to pages opened from disk; the page works without it.
const memory = {
  get(key) {
    try { return localStorage.getItem(key); } catch { return null; }
  },
  set(key, value) {
    try { localStorage.setItem(key, value); return true; } catch { return false; }
  },
};

function speak(language) {
  page.dataset.language = language;
  page.lang = language;
}

function shade(theme) {
  if (theme) page.dataset.theme = theme;
}

speak(memory.get("datagen.language") || (navigator.language.startsWith("ja") ? "ja" : "en"));
shade(memory.get("datagen.theme"));

document.getElementById("language").addEventListener("click", () => {
  speak(page.dataset.language === "ja" ? "en" : "ja");
  memory.set("datagen.language", page.dataset.language);
});

document.getElementById("theme").addEventListener("click", () => {
  const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  shade(dark ? "light" : "dark");
  memory.set("datagen.theme", page.dataset.theme);
});
