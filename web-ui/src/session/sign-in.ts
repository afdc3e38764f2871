// The page of a sign-in link. Without this script its form still works, but shows a refusal as the API words it.

import "../ui/theme.css";
import "../ui/base.css";
import "./sign-in.css";
import { signInWith } from "../api/client";
import { sentence } from "./refusal";

const form = document.querySelector("form");
const button = document.querySelector("button");
const refusal = document.querySelector("#refusal");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button) button.disabled = true;
  const why = await signInWith(location.pathname);
  if (why === null) {
    // The link is used up: it shall not stay in the history.
    location.replace("/");
    return;
  }
  if (button) button.disabled = false;
  refusal?.replaceChildren(...sentence(why));
});
