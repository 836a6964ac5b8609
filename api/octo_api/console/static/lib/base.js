// Where the REST API is: beside the console, also behind a path of a proxy.

/** The address of a path below /v1/. */
export const base = (path) => new URL(`../v1/${path}`, document.baseURI).href;
