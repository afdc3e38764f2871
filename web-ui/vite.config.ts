// How the dashboard is built. Nothing may be inline: the coordinator's content security policy forbids it.

import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a coordinator. */
const COORDINATOR = "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    target: "es2022",
    // A small file as a data: address would be inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Which file holds which module, for the browser test.
    manifest: "build.json",
    rolldownOptions: {
      input: {
        index: "index.html",
        account: "account.html",
        "sign-in": "sign-in.html",
        invitation: "invitation.html",
        join: "join.html",
        selection: "src/selection/selection.ts",
      },
      preserveEntrySignatures: "exports-only",
    },
  },
  server: {
    proxy: {
      "/api": COORDINATOR,
      "/sign-in": COORDINATOR,
      "/invitation": COORDINATOR,
      "/join": COORDINATOR,
      "/account": COORDINATOR,
    },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"] },
});
