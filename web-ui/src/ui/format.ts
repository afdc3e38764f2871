// Figures for people.

/** A round-trip time given in microseconds, with two or three digits that mean something. */
export function rtt(us: number | null): string {
  if (us === null) return "–";
  const ms = us / 1000;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

/** A length of time given in milliseconds, in its largest sensible unit. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** The time of day of Unix milliseconds, in this browser's zone. */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** `1 node`, `2 nodes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** An address without its prefix length. */
export function host(prefix: string): string {
  return prefix.split("/", 1)[0] ?? prefix;
}
