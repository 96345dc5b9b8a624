// Runs the test vectors: node scope_test.mjs scope-vectors.json
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { allows } from './scope.mjs';

const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'));
for (const vector of vectors) {
  assert.equal(allows(vector.scope, vector.action, vector.resource), vector.allowed, JSON.stringify(vector));
}
console.log(`${vectors.length} vectors hold`);
