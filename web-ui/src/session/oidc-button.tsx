// The way to the OpenID provider, where the coordinator has one.

import { useEffect, useState } from "preact/hooks";
import { beginOidc, oidcName } from "../api/client";

/** `back` is the path to come back to. */
export function OidcButton({ back }: { back: string }) {
  const [name, setName] = useState<string | null>(null);
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    oidcName().then(setName);
  }, []);
  if (name === null) return null;
  const clicked = async () => {
    setBusy(true);
    const refused = await beginOidc("/api/v1/oidc/sign-in", { back });
    // Where it worked the browser is on its way.
    if (refused === null) return;
    setWhy(`${refused.charAt(0).toUpperCase()}${refused.slice(1)}.`);
    setBusy(false);
  };
  return (
    <div class="other-ways">
      <button type="button" disabled={busy} onClick={clicked}>
        Sign in with {name}
      </button>
      <p class="refusal" role="alert">
        {why}
      </p>
    </div>
  );
}
