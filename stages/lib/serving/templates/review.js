// A key does what its button does; the browser's own keys, and those of a list of breeds, are left alone.
"use strict";
const keys = document.querySelector("#keys");
keys.checked = localStorage.getItem("keys") !== "off";
keys.addEventListener("change", () => localStorage.setItem("keys", keys.checked ? "on" : "off"));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.target.matches("select")) {
    if (event.key === "Enter") document.querySelector("button[value=move]").click();
    return;
  }
  if (!keys.checked || event.key.length !== 1) return;
  const button = document.querySelector(`button[aria-keyshortcuts="${CSS.escape(event.key.toUpperCase())}"]`);
  if (button && !button.disabled) {
    event.preventDefault();
    button.click();
  }
});
