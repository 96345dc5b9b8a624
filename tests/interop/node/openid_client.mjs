// openid-client: discovery through RFC 8414, both ways to authenticate, introspection and revocation.
import * as client from 'openid-client';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const scope = 'read:projects/acme/# write:projects/acme/*';
const check = checks('openid-client');

function discover(authenticate, secret, algorithm = 'oauth2', clientId = INTEROP_CLIENT_ID) {
  return client.discovery(new URL(INTEROP_ISSUER), clientId, undefined, authenticate(secret), {
    algorithm,
    execute: [client.allowInsecureRequests], // plain HTTP, on loopback only
  });
}

for (const [name, authenticate] of [
  ['client_secret_basic', client.ClientSecretBasic],
  ['client_secret_post', client.ClientSecretPost],
]) {
  let config = await discover(authenticate, INTEROP_KEY_TEXT);
  const metadata = config.serverMetadata();
  check(metadata.issuer === INTEROP_ISSUER, `${name}: discovered through RFC 8414`);
  let tokens = await client.clientCredentialsGrant(config);
  check(tokens.token_type === 'bearer' && tokens.expiresIn() > 590, `${name}: a token with the secret`);

  config = await discover(authenticate, INTEROP_BARE_SECRET, 'oidc');
  tokens = await client.clientCredentialsGrant(config, { scope });
  check(tokens.scope === scope, `${name}: discovered as OpenID, a token with the bare secret and a narrower scope`);
  tokens = await client.clientCredentialsGrant(config, { scope, resource: INTEROP_ISSUER });
  check(tokens.scope === scope, `${name}: a token for a resource (RFC 8707)`);

  const refusal = await thrown(client.clientCredentialsGrant(await discover(authenticate, INTEROP_WRONG_KEY_TEXT)));
  if (name === 'client_secret_basic') {
    // The challenge that RFC 6749 asks for comes first in this library; the error is in the answer it carries.
    check(refusal instanceof client.WWWAuthenticateChallengeError, `${name}: a wrong secret is challenged`);
    const body = await refusal.response.json();
    check(body.error === 'invalid_client', `${name}: and the answer says invalid_client`);
  } else {
    check(
      refusal instanceof client.ResponseBodyError && refusal.error === 'invalid_client' && refusal.status === 401,
      `${name}: a wrong secret is reported as invalid_client`,
    );
  }

  const unknown = [...INTEROP_CLIENT_ID].reverse().join('');
  const stranger = await thrown(
    client.clientCredentialsGrant(await discover(authenticate, INTEROP_KEY_TEXT, 'oauth2', unknown)));
  const said = stranger.error ?? (await stranger.response.json()).error;
  check(said === 'invalid_client', `${name}: an unknown client_id is invalid_client`);
  const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
  const reader = await discover(authenticate, INTEROP_READER_KEY_TEXT, 'oauth2', INTEROP_READER_ID);
  const narrow = await client.clientCredentialsGrant(reader, { scope: 'read' });
  check(narrow.scope === 'read', `${name}: a token for the scope read, spelled so`);
  const openid = await thrown(client.clientCredentialsGrant(config, { scope: 'openid' }));
  check(
    openid instanceof client.ResponseBodyError && openid.error === 'invalid_scope',
    `${name}: the scope openid is reported as invalid_scope`,
  );

  if (!metadata.introspection_endpoint || !metadata.revocation_endpoint) {
    console.log('not run: openid-client introspection and revocation (the metadata names no such endpoint)');
    continue;
  }
  let answer = await client.tokenIntrospection(config, tokens.access_token);
  check(answer.active === true && answer.client_id === INTEROP_CLIENT_ID, `${name}: the token introspects as active`);
  await client.tokenRevocation(config, tokens.access_token);
  answer = await client.tokenIntrospection(config, tokens.access_token);
  check(JSON.stringify(answer) === '{"active":false}', `${name}: revoked, it introspects as inactive and nothing more`);
}
