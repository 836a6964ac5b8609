// Keeps the focus where somebody is. A page redraws what it shows while it is being used; the browser would send whoever was
// on something that is gone to the top of the document.

/** The element that stands now where one of this `data-key` stood, if there is one. */
export function sameAs(element) {
  const key = element?.dataset?.key;
  return key === undefined ? null : [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key) ?? null;
}

/** Give the focus to what took an element's place, else to the heading of the page. */
export function refocus(gone) {
  (sameAs(gone) ?? document.querySelector("main h1"))?.focus({ preventScroll: true });
}

/** Watch over the focus below an element. What a page gives the focus to by itself stands. */
export function keepFocus(root) {
  let last = null;
  root.addEventListener("focusin", (event) => (last = event.target));
  root.addEventListener("focusout", (event) => {
    const left = event.target;
    // What is removed loses the focus too, and is known by that; another may have it by then.
    if (event.relatedTarget !== null) last = null;
    else queueMicrotask(() => last === left && left.isConnected && (last = null));
  });
  new MutationObserver(() => {
    if (last === null || last.isConnected || document.activeElement !== document.body) return;
    const gone = last;
    last = null;
    refocus(gone);
  }).observe(root, { childList: true, subtree: true });
}
