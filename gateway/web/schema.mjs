// `node schema.mjs <openapi.json >src/schema.ts`: a TypeScript type for each schema of the API, and the formats of exports.
import { readFileSync } from "node:fs";

const { paths, components } = JSON.parse(readFileSync(0, "utf8"));
const PRIMITIVES = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };

function comment(text) {
  return text ? `/** ${text.replace(/\s+/g, " ").trim()} */\n` : "";
}

function union(options) {
  return [...new Set(options.map(typeOf))].join(" | ");
}

function listOf(schema) {
  if (schema.prefixItems) return `[${schema.prefixItems.map(typeOf).join(", ")}]`;
  const item = typeOf(schema.items ?? {});
  return item.includes(" | ") ? `(${item})[]` : `${item}[]`;
}

function objectOf({ properties, required = [], additionalProperties }) {
  if (!properties) return `Record<string, ${typeOf(Object(additionalProperties))}>`;
  const lines = Object.entries(properties).map(
    ([name, schema]) =>
      `${comment(schema.description)}${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema)};\n`,
  );
  return `{\n${lines.join("").replaceAll(/^(?=.)/gm, "  ")}}`;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return union(options);
  if (schema.type === "array") return listOf(schema);
  if (schema.type === "object") return objectOf(schema);
  return PRIMITIVES[schema.type] ?? "unknown";
}

process.stdout.write("// Written by scripts/openapi from docs/openapi.json. Not by hand.\n");
for (const [name, schema] of Object.entries(components.schemas)) {
  const body = schema.properties ? `interface ${name} ${objectOf(schema)}` : `type ${name} = ${typeOf(schema)};`;
  process.stdout.write(`\n${comment(schema.description)}export ${body}\n`);
}
const exported = Object.entries(paths).filter(([, { get }]) => get?.tags?.includes("exports"));
const names = exported.map(([path]) => JSON.stringify(path.split("/").at(-1)));
process.stdout.write(
  `\n/** A format in which labels are taken away. */\nexport type ExportName = ${names.join(" | ")};\n`,
);
