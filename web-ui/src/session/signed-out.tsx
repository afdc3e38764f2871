// What somebody sees who is not signed in.

import { Command } from "../ui/command";
import { refusedBy } from "./refused";
import { SignInForm } from "./sign-in-form";
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
      <p class="refusal" role="alert">
        {refusedBy(globalThis.location?.search ?? "")}
      </p>
      <SignInForm />
      <h2>Without a password</h2>
      <p>On the machine that runs the coordinator, make a link. It works once, for 15 minutes.</p>
      <Command text="warren-coordinator admin sign-in-link" />
    </section>
  );
}
