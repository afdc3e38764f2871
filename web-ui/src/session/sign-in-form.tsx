// Name and password or the OpenID provider, on whatever page somebody is who is not signed in.

import { useState } from "preact/hooks";
import { signIn } from "../api/client";
import { OidcButton } from "./oidc-button";

/** `back` is where to go on afterwards; the page that this is on where absent. */
export function SignInForm({ back }: { back?: string }) {
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    const refused = await signIn(String(fields.get("name")), String(fields.get("password")));
    if (refused !== null) setWhy(`${refused.charAt(0).toUpperCase()}${refused.slice(1)}.`);
    else if (back === undefined) location.reload();
    else location.replace(back);
    setBusy(false);
  };
  return (
    <>
      <PasswordForm submit={submit} busy={busy} why={why} />
      <OidcButton back={back ?? location.pathname} />
    </>
  );
}

function PasswordForm(props: { submit: (event: SubmitEvent) => void; busy: boolean; why: string | null }) {
  const { submit, busy, why } = props;
  return (
    <form class="password-form" onSubmit={submit}>
      <label>
        Name or e-mail address
        <input name="name" autocomplete="username" required maxLength={254} />
      </label>
      <label>
        Password
        <input name="password" type="password" autocomplete="current-password" required maxLength={256} />
      </label>
      <button type="submit" class="primary" disabled={busy}>
        Sign in
      </button>
      <p class="refusal" role="alert">
        {why}
      </p>
    </form>
  );
}
