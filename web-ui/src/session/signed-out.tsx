// What somebody sees who is not signed in.

import { useState } from "preact/hooks";
import { signIn } from "../api/client";
import { Command } from "../ui/command";
import "./sign-in.css";

export function SignedOut() {
  return (
    <section class="prose">
      <h1>A mesh network of your own</h1>
      <p>
        Warren joins your machines into one private network. Traffic goes straight from machine to machine through
        WireGuard tunnels, and through a relay only where no direct path exists. This coordinator tells the machines
        about one another; it never sees their traffic or their private keys.
      </p>
      <h2>Sign in</h2>
      <PasswordForm />
      <h2>Without a password</h2>
      <p>On the machine that runs the coordinator, make a link. It works once, for 15 minutes.</p>
      <Command text="warren-coordinator admin sign-in-link" />
    </section>
  );
}

function PasswordForm() {
  const [why, setWhy] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    const refused = await signIn(String(fields.get("name")), String(fields.get("password")));
    if (refused === null) location.reload();
    else setWhy(`${refused.charAt(0).toUpperCase()}${refused.slice(1)}.`);
    setBusy(false);
  };
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
