import { expect, test } from "vitest";
import { refusedBy } from "./refused";

test("a word of the coordinator becomes a sentence, and no other text reaches the page", () => {
  expect(refusedBy("?refused=no-access")).toBe("You have no access here. Ask an administrator.");
  expect(refusedBy("?refused=groups-unknown")).toContain("which groups you are in");
  for (const search of ["", "?refused=", "?refused=<b>x</b>", "?refused=constructor", "?filter=a"]) {
    expect(refusedBy(search)).toBeNull();
  }
});
