import { readFileSync } from "node:fs";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// Development only: where the API answers (`morula serve --port 8080 --no-open`, or a stand-in).
const gateway = process.env.MORULA_GATEWAY ?? "http://127.0.0.1:8080";

/** The fonts' licence (OFL) travels with the fonts; those of the scripts are in licences.md. */
const fontLicence: Plugin = {
  name: "font-licence",
  generateBundle() {
    const source = readFileSync("node_modules/@fontsource-variable/inter/LICENSE", "utf8");
    this.emitFile({ type: "asset", fileName: "licence-inter.txt", source });
  },
};

export default defineConfig({
  base: "./",
  plugins: [fontLicence],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../morula/gateway/static",
    emptyOutDir: true,
    target: "es2022",
    // The page runs under `script-src 'self'; img-src 'self'`: nothing may become a data: address or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licences.md" },
    chunkSizeWarningLimit: 1200,
  },
  server: { host: "127.0.0.1", proxy: { "/v1": { target: gateway, changeOrigin: true } } },
  test: { include: ["unit/**/*.test.ts"], environment: "node" },
});
