// The official MCP SDK for TypeScript: its client-credentials provider, in front of a small protected resource.
import http from 'node:http';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { InvalidClientError, InvalidScopeError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { decodeJwt } from 'jose';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_RESOURCE, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_WRONG_KEY_TEXT } = process.env;
const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
const check = checks('mcp-typescript');

// Describes itself (RFC 9728) and nothing more.
const resource = http.createServer((request, response) => {
  const known = request.url === '/.well-known/oauth-protected-resource';
  response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(known ? { resource: INTEROP_RESOURCE, authorization_servers: [INTEROP_ISSUER] } : {}));
});
await new Promise((ready) => resource.listen(new URL(INTEROP_RESOURCE).port, '127.0.0.1', ready));

async function tokens(clientId, clientSecret, scope) {
  const provider = new ClientCredentialsProvider({ clientId, clientSecret, scope, expectedIssuer: INTEROP_ISSUER });
  const result = await auth(provider, { serverUrl: INTEROP_RESOURCE });
  check(result === 'AUTHORIZED', `${scope ?? 'no scope'}: the metadata is accepted and the client authorized`);
  return provider.tokens();
}

let answer = await tokens(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, 'read:projects/acme/# write');
check(answer.scope === 'read:projects/acme/# write', 'a token with a narrower scope');
// The URL class of JavaScript puts a slash behind the origin.
check(decodeJwt(answer.access_token).aud === INTEROP_RESOURCE, 'for the resource, as it is configured');
answer = await tokens(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT);
check(answer.token_type === 'Bearer' && answer.expires_in === 600, 'a token without a scope in the request');
answer = await tokens(INTEROP_READER_ID, INTEROP_READER_KEY_TEXT, 'read');
check(answer.scope === 'read', 'a token for the scope read, spelled so');

const unknown = [...INTEROP_CLIENT_ID].reverse().join('');
for (const [what, kind, ...request] of [
  ['a wrong secret is reported as invalid_client', InvalidClientError, INTEROP_CLIENT_ID, INTEROP_WRONG_KEY_TEXT],
  ['an unknown client_id is reported as invalid_client', InvalidClientError, unknown, INTEROP_KEY_TEXT],
  ['the scope openid is reported as invalid_scope', InvalidScopeError, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, 'openid'],
]) {
  const refusal = await thrown(tokens(...request));
  check(refusal instanceof kind, what);
}
resource.close();
