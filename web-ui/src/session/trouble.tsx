// A coordinator that does not answer. The mesh itself does not need it: tunnels and paths live on.

import { clock } from "../ui/format";
import { INTERVAL_MS } from "./polling";
import type { Session } from "./session";

/** Above what was shown last. The element is always there: only then do screen readers tell what appears in it. */
export function Trouble({ session }: { session: Extract<Session, { state: "signed-in" }> }) {
  return (
    <div role="alert">
      {session.trouble !== null && (
        <p class="trouble">
          <strong>The coordinator does not answer</strong> ({session.trouble}). You see the state of {clock(session.at)}
          . Asking again every {INTERVAL_MS / 1000} seconds.
        </p>
      )}
    </div>
  );
}

/** Instead of anything else. */
export function Unreachable({ why }: { why: string }) {
  return (
    <section class="prose" role="alert">
      <h1>The coordinator does not answer</h1>
      <p>
        Reason: {why}. This page asks again every {INTERVAL_MS / 1000} seconds. Tunnels between your machines work on
        meanwhile.
      </p>
    </section>
  );
}
