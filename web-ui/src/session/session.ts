// What the page knows of the coordinator: who is signed in, what she may see, and since when nothing came.

import type { Answer } from "../api/client";
import type { Overview } from "../api/generated/api";

export type Session =
  /** Nothing was asked yet. */
  | { state: "starting" }
  | { state: "signed-out" }
  /** The coordinator has never answered this page. */
  | { state: "unreachable"; why: string }
  /** `overview` came at `at` (this browser's Unix milliseconds); `trouble` says why nothing newer did. */
  | { state: "signed-in"; overview: Overview; at: number; trouble: string | null };

/** The session after one more answer. What was shown stays until something newer comes, however long that takes. */
export function after(session: Session, answer: Answer, now: number): Session {
  switch (answer.kind) {
    case "overview":
      return { state: "signed-in", overview: answer.overview, at: now, trouble: null };
    case "signed-out":
      return { state: "signed-out" };
    case "trouble":
      return session.state === "signed-in"
        ? { ...session, trouble: answer.why }
        : { state: "unreachable", why: answer.why };
  }
}
