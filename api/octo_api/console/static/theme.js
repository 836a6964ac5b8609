// Before anything is drawn, so that nobody is dazzled first. No module, since those wait for the page.
(() => {
  try {
    const chosen = localStorage.getItem("octo.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system's choice holds.
  }
})();
