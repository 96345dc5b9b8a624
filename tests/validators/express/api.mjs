// An API that checks tokens with express-oauth2-jwt-bearer: on each port, for one audience and one scope.
import { readFileSync } from 'node:fs';
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

for (const { port, issuer, audience, scope, strict } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  const api = express();
  api.get('/', auth({ issuerBaseURL: issuer, audience, strict }), requiredScopes(scope), (_, response) => response.end());
  // Express writes a stack trace for each denied request; the status is set by the library.
  api.use((error, _request, response, _next) => response.status(error.status ?? 500).end());
  api.listen(port, '127.0.0.1');
}
