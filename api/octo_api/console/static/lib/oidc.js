// Signing in with an identity provider: authorization code with PKCE (RFC 7636), as a public client. What is kept between
// the two halves is of use to this tab only, once.

import { signInWithToken } from "./session.js";

const KEPT = "octo.oidc";

/** Go to the identity provider. Throws an Error for the reader if it cannot be reached. */
export async function beginSignIn(oidc) {
  const { authorization_endpoint: endpoint } = await discover(oidc);
  const kept = { state: random(), nonce: random(), verifier: random(), back: location.hash };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  const challenge = encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(kept.verifier))));
  const address = new URL(endpoint);
  const pairs = {
    response_type: "code",
    client_id: oidc.clientId,
    redirect_uri: here(),
    scope: oidc.scope,
    state: kept.state,
    nonce: kept.nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(pairs)) address.searchParams.set(name, value);
  location.assign(address);
}

/** If this page is the way back from the identity provider: end the sign-in. Returns what went wrong, for the reader. */
export async function endSignIn(oidc) {
  const given = new URLSearchParams(location.search);
  if (!given.has("state") || !(given.has("code") || given.has("error"))) return "";
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  // The code is good once; it has no place in the history.
  history.replaceState(null, "", here() + (kept?.back ?? ""));
  if (kept === null || given.get("state") !== kept.state) return "This sign-in was not begun here. Try again.";
  if (given.has("error")) return `The identity provider says: ${given.get("error_description") ?? given.get("error")}`;
  try {
    const { token_endpoint: endpoint } = await discover(oidc);
    const answer = await fetch(endpoint, {
      method: "POST",
      credentials: "omit",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: given.get("code"),
        redirect_uri: here(),
        client_id: oidc.clientId,
        code_verifier: kept.verifier,
      }),
    });
    if (!answer.ok) return "The identity provider refuses the code. Try again.";
    const { id_token: token } = await answer.json();
    const claims = claimsOf(token);
    if (claims.nonce !== kept.nonce) return "The identity provider answers another sign-in. Try again.";
    await signInWithToken(token, new Date(claims.exp * 1000).toISOString());
    return "";
  } catch (error) {
    return error.message;
  }
}

async function discover(oidc) {
  const answer = await fetch(`${oidc.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { credentials: "omit" }).catch(
    () => null,
  );
  if (!answer?.ok) throw new Error("The identity provider cannot be reached.");
  return answer.json();
}

// Read, not verified: the server verifies it at each request.
const claimsOf = (token) => JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));

const here = () => new URL(".", document.baseURI).href;

const random = () => encode(crypto.getRandomValues(new Uint8Array(32)));

const encode = (data) =>
  btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
