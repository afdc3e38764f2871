// Whose page this is, whether it is live, and the way out.

import { useState } from "preact/hooks";
import { signOut } from "../api/client";
import { href } from "../routes";
import type { Session } from "./session";

export function Header({ session }: { session: Session }) {
  return (
    <header>
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" width="24" height="24" />
        Warren
      </a>
      {session.state === "signed-in" && (
        <>
          <p class={session.trouble === null ? "pulse live" : "pulse"}>
            {session.trouble === null ? "live" : "not live"}
          </p>
          <a class="pages" href={href({ page: "servers" })}>
            Relays
          </a>
          <a class="person" href="/account" target="_self">
            {session.overview.person}
          </a>
          <SignOut />
        </>
      )}
    </header>
  );
}

function SignOut() {
  const [why, setWhy] = useState<string | null>(null);
  async function clicked() {
    const refusal = await signOut();
    setWhy(refusal);
    // Loaded anew, so that nothing of what was shown stays in memory.
    if (refusal === null) location.assign("/");
  }
  return (
    <>
      {why !== null && (
        <p class="refusal" role="alert">
          Still signed in: {why}.
        </p>
      )}
      <button type="button" onClick={clicked}>
        Sign out
      </button>
    </>
  );
}
