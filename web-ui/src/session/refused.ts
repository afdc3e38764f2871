// Why nobody came in by the OpenID provider: the word that the coordinator put into the address, as a sentence.

const SENTENCES: Record<string, string> = {
  "no-access": "You have no access here. Ask an administrator.",
  "groups-unknown": "The sign-in provider does not say which groups you are in. Ask an administrator.",
  denied: "The sign-in was cancelled, or refused there.",
  expired: "This sign-in took too long, or began in another browser. Try again.",
  invitation: "This invitation is unknown, used or expired. Ask for a new one.",
  "linked-elsewhere": "Whom you signed in as there belongs to another account here.",
  provider: "The sign-in did not work. Try again; the coordinator's log says why.",
  unavailable: "The coordinator cannot do this now. Try again.",
};

/** The sentence for an address such as `/?refused=no-access`; null where nothing was refused. */
export function refusedBy(search: string): string | null {
  const word = new URLSearchParams(search).get("refused");
  if (word === null) return null;
  return Object.hasOwn(SENTENCES, word) ? (SENTENCES[word] ?? null) : null;
}
