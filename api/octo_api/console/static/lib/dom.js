// Builds elements. Text stays text: nothing here reads markup, so nothing that a file or a server is called can be any.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. Of `props`, functions are listeners (`onclick`), `css` holds style properties, `dataset` data attributes,
 * true stands for an attribute without a value; null, undefined and false are left out.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Put these in place of all that is in an element. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

let live;

/** The element that screen readers listen to. */
export function liveRegion() {
  live ??= h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  return live;
}

/** Say it to those who do not see the page. */
export function announce(text) {
  liveRegion().textContent = text;
}

/** Run `work` once, that long after the first of many calls. */
export function soon(work, milliseconds) {
  let timer = null;
  const call = () => {
    timer ??= setTimeout(() => {
      timer = null;
      work();
    }, milliseconds);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}
