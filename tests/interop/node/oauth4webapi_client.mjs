// oauth4webapi: the strictest of the JavaScript clients, both ways to authenticate and a wrong secret each way.
import * as oauth from 'oauth4webapi';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const scope = 'read:projects/acme/# write:projects/acme/*';
const check = checks('oauth4webapi');
const insecure = { [oauth.allowInsecureRequests]: true }; // plain HTTP, on loopback only

const issuer = new URL(INTEROP_ISSUER);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
const server = await oauth.processDiscoveryResponse(issuer, discovered);
const owner = { client_id: INTEROP_CLIENT_ID };
const reader = { client_id: process.env.INTEROP_READER_ID };
const unknown = { client_id: [...INTEROP_CLIENT_ID].reverse().join('') };
check(server.issuer === INTEROP_ISSUER, 'discovered through RFC 8414');

async function grant(authentication, parameters, client = owner) {
  const response = await oauth.clientCredentialsGrantRequest(
    server, client, authentication, new URLSearchParams(parameters), insecure);
  return oauth.processClientCredentialsResponse(server, client, response);
}

for (const [name, authenticate] of [
  ['client_secret_basic', oauth.ClientSecretBasic],
  ['client_secret_post', oauth.ClientSecretPost],
]) {
  let answer = await grant(authenticate(INTEROP_KEY_TEXT), {});
  check(answer.token_type === 'bearer' && answer.expires_in === 600, `${name}: a token with the secret`);
  answer = await grant(authenticate(INTEROP_BARE_SECRET), { scope });
  check(answer.scope === scope, `${name}: a token with the bare secret and a narrower scope`);

  const refusal = await thrown(grant(authenticate(INTEROP_WRONG_KEY_TEXT), {}));
  if (name === 'client_secret_basic') {
    // The challenge that RFC 6749 asks for comes first in this library; the error is in the answer it carries.
    check(
      refusal instanceof oauth.WWWAuthenticateChallengeError && refusal.cause[0].scheme === 'basic',
      `${name}: a wrong secret is challenged`,
    );
    const body = await refusal.response.json();
    check(body.error === 'invalid_client', `${name}: and the answer says invalid_client`);
    const stranger = await thrown(grant(authenticate(INTEROP_KEY_TEXT), {}, unknown));
    check(
      stranger instanceof oauth.WWWAuthenticateChallengeError && (await stranger.response.json()).error === 'invalid_client',
      `${name}: an unknown client_id is invalid_client`,
    );
  } else {
    check(
      refusal instanceof oauth.ResponseBodyError && refusal.error === 'invalid_client' && refusal.status === 401,
      `${name}: a wrong secret is reported as invalid_client`,
    );
    const stranger = await thrown(grant(authenticate(INTEROP_KEY_TEXT), {}, unknown));
    check(
      stranger instanceof oauth.ResponseBodyError && stranger.error === 'invalid_client' && stranger.status === 401,
      `${name}: an unknown client_id is reported as invalid_client`,
    );
  }
  answer = await grant(authenticate(process.env.INTEROP_READER_KEY_TEXT), { scope: 'read' }, reader);
  check(answer.scope === 'read', `${name}: a token for the scope read, spelled so`);
  const openid = await thrown(grant(authenticate(INTEROP_KEY_TEXT), { scope: 'openid' }));
  check(
    openid instanceof oauth.ResponseBodyError && openid.error === 'invalid_scope',
    `${name}: the scope openid is reported as invalid_scope`,
  );
}
