// Writes the table of all fields of the Elastic Common Schema, one a line, as far as a checker needs it.
//
//     npm install @elastic/ecs@9.4.0
//     node make.js > fields.json

const { EcsFlat } = require("@elastic/ecs");

const rows = Object.keys(EcsFlat).sort().map((name) => {
  const { type, normalize, pattern, allowed_values, expected_values } = EcsFlat[name];
  const row = { type };
  if (normalize && normalize.includes("array")) row.array = true;
  if (pattern) row.pattern = pattern;
  if (expected_values) row.expected = expected_values;
  if (allowed_values) {
    // Each value, with the event types that go with it where the schema names them.
    row.allowed = Object.fromEntries(
      allowed_values.map(({ name, expected_event_types }) => [name, expected_event_types ?? null]));
  }
  return `${JSON.stringify(name)}:${JSON.stringify(row)}`;
});
process.stdout.write(`{\n${rows.join(",\n")}\n}\n`);
