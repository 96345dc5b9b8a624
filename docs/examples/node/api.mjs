// An API with Express that checks Keyturn's access tokens with jose.
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { allows } from './scope.mjs';

const { ISSUER, AUDIENCE, PORT } = process.env;

// Fetches the keys at the first token, and again when it meets an unknown key ID.
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`));

async function checkToken(request, response, next) {
  try {
    const [, token] = /^Bearer ([^ ]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: 'at+jwt',
      algorithms: ['ES256'], // the organization's algorithm, and no other
      requiredClaims: ['exp', 'sub', 'scope'],
    });
    // A key that is restricted to networks: compare the client's address with the list, or deny.
    if (payload.cidrs) throw new Error('the key is restricted to networks');
    request.token = payload;
  } catch {
    return response.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
  }
  next();
}

const app = express();
app.get('/orders/:order', checkToken, (request, response) => {
  if (!allows(request.token.scope, 'read', `orders/${request.params.order}`)) {
    return response.status(403).set('WWW-Authenticate', 'Bearer error="insufficient_scope"').json({ error: 'insufficient_scope' });
  }
  response.json({ order: request.params.order, client: request.token.sub });
});
app.listen(PORT, '127.0.0.1');
