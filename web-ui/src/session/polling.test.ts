import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Answer } from "../api/client";
import { INTERVAL_MS, poll, type Surroundings } from "./polling";

const trouble: Answer = { kind: "trouble", why: "no connection" };

/** Surroundings that answer the same to every question and count them. */
function surroundings(answer: Answer) {
  const page = { asked: 0, hidden: false, changed: () => {} };
  const around: Surroundings<Answer> = {
    ask: () => {
      page.asked += 1;
      return Promise.resolve(answer);
    },
    isHidden: () => page.hidden,
    onVisibility: (changed) => {
      page.changed = changed;
      return () => {
        page.changed = () => {};
      };
    },
  };
  return { page, around };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("it asks at once, then after every interval, also in trouble", async () => {
  const { page, around } = surroundings(trouble);
  const answers: Answer[] = [];
  const end = poll((answer) => answers.push(answer), around);
  await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
  expect([page.asked, answers.length]).toEqual([3, 3]);
  end();
  await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
  expect(page.asked).toBe(3);
});

test("a hidden page asks nothing, and asks at once when it is looked at again", async () => {
  const { page, around } = surroundings(trouble);
  poll(() => {}, around);
  await vi.advanceTimersByTimeAsync(0);
  page.hidden = true;
  await vi.advanceTimersByTimeAsync(100 * INTERVAL_MS);
  expect(page.asked).toBe(1);
  page.hidden = false;
  page.changed();
  expect(page.asked).toBe(2);
});

test("nobody signed in: it waits until the page comes to the front", async () => {
  const { page, around } = surroundings({ kind: "signed-out" });
  poll(() => {}, around);
  await vi.advanceTimersByTimeAsync(100 * INTERVAL_MS);
  expect(page.asked).toBe(1);
  page.changed();
  expect(page.asked).toBe(2);
});

test("a slow answer is not asked for twice", async () => {
  const { page, around } = surroundings(trouble);
  let release: (answer: Answer) => void = () => {};
  const slow = new Promise<Answer>((resolve) => {
    release = resolve;
  });
  const answered = vi.fn();
  poll(answered, { ...around, ask: () => around.ask().then(() => slow) });
  page.changed();
  page.changed();
  expect(page.asked).toBe(1);
  release(trouble);
  await vi.advanceTimersByTimeAsync(0);
  expect(answered).toHaveBeenCalledOnce();
});
