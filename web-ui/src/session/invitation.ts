// The page of an invitation's link: a new person chooses name and password, one who is signed in just joins.

import "../ui/theme.css";
import "../ui/base.css";
import "./sign-in.css";
import { acceptInvitation, account, beginOidc, joinByInvitation, oidcName } from "../api/client";
import { sentence } from "./refusal";

const form = document.querySelector("form");
const button = document.querySelector("button");
const refusal = document.querySelector("#refusal");
const token = location.pathname.split("/").pop() ?? "";
let join = (fields: FormData) => acceptInvitation(token, String(fields.get("name")), String(fields.get("password")));

account().then((name) => {
  if (name === null) {
    oidcName().then(offerProvider);
    return;
  }
  for (const label of document.querySelectorAll("label, .hint")) label.remove();
  document.querySelector("#lead")?.replaceChildren(`You are signed in as ${name}.`);
  button?.replaceChildren(`Join as ${name}`);
  join = () => joinByInvitation(token);
});

/** A second button, where the coordinator knows an OpenID provider. */
function offerProvider(provider: string | null): void {
  if (provider === null) return;
  const other = document.createElement("button");
  other.type = "button";
  other.textContent = `Join with ${provider}`;
  other.addEventListener("click", async () => {
    const why = await beginOidc("/api/v1/oidc/sign-in", { back: "/", invitation: token });
    if (why !== null) refusal?.replaceChildren(...sentence(why));
  });
  button?.after(other);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button) button.disabled = true;
  const why = await join(new FormData(form));
  if (why === null) {
    // The link is used up: it shall not stay in the history.
    location.replace("/");
    return;
  }
  if (button) button.disabled = false;
  refusal?.replaceChildren(...sentence(why));
});
