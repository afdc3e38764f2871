// Asks again and again while somebody looks.

import { useEffect, useState } from "preact/hooks";
import { overview } from "../api/client";
import { after, type Session } from "./session";

/** Between an answer and the next question. Nodes report what changed at once, so two seconds feel live. */
export const INTERVAL_MS = 2000;

/** What polling needs of its surroundings, so that a test can be them. */
export interface Surroundings<Answer> {
  ask(): Promise<Answer>;
  isHidden(): boolean;
  /** Calls back whenever the page comes to the front or goes away; gives what ends that. */
  onVisibility(changed: () => void): () => void;
}

/** A question, asked by this browser's page. */
export const inBrowser = <Answer>(ask: () => Promise<Answer>): Surroundings<Answer> => ({
  ask,
  isHidden: () => document.hidden,
  onVisibility: (changed) => {
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  },
});

/** Hands on every answer until the returned function is called. It rests while the page is hidden, and where nobody is
 * signed in it asks only when the page comes to the front: she may have signed in elsewhere. */
export function poll<Answer extends { kind: string }>(
  answered: (answer: Answer) => void,
  around: Surroundings<Answer>,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isAsking = false;
  let isOver = false;

  async function round(): Promise<void> {
    clearTimeout(timer);
    if (isAsking || isOver || around.isHidden()) return;
    isAsking = true;
    const answer = await around.ask();
    isAsking = false;
    if (isOver) return;
    answered(answer);
    if (answer.kind !== "signed-out") timer = setTimeout(round, INTERVAL_MS);
  }

  const end = around.onVisibility(() => void round());
  void round();
  return () => {
    isOver = true;
    clearTimeout(timer);
    end();
  };
}

/** The session as of the last answer. */
export function useSession(): Session {
  const [session, setSession] = useState<Session>({ state: "starting" });
  useEffect(() => poll((answer) => setSession((before) => after(before, answer, Date.now())), inBrowser(overview)), []);
  return session;
}
