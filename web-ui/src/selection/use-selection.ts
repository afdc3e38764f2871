// The selection for a page: fetched when the first page that needs it is shown, and never by the others.

import { useEffect, useState } from "preact/hooks";
import type { SelectionModule } from "./selection";

export type Loaded =
  | { state: "loading" }
  | { state: "ready"; module: SelectionModule }
  /** `why` is for people. */
  | { state: "failed"; why: string };

export function useSelection(): Loaded {
  const [loaded, setLoaded] = useState<Loaded>({ state: "loading" });
  useEffect(() => {
    let isOver = false;
    const settle = (next: Loaded) => {
      if (!isOver) setLoaded(next);
    };
    import("./selection")
      .then(({ load }) => load())
      .then(
        (module) => settle({ state: "ready", module }),
        (error: unknown) => settle({ state: "failed", why: messageOf(error) }),
      );
    return () => {
      isOver = true;
    };
  }, []);
  return loaded;
}

/** What a function gives, or what its exception says. */
export function attempt<T>(call: () => T): { value: T } | { error: string } {
  try {
    return { value: call() };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
