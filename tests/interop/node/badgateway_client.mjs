// @badgateway/oauth2-client: discovery, both ways to authenticate a client, introspection and its typed error.
import { OAuth2Client, OAuth2HttpError } from '@badgateway/oauth2-client';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
const check = checks('badgateway-oauth2-client');
const unknown = [...INTEROP_CLIENT_ID].reverse().join('');

for (const authenticationMethod of ['client_secret_basic', 'client_secret_post']) {
  const client = (clientId, clientSecret) => new OAuth2Client({
    server: INTEROP_ISSUER,
    discoveryEndpoint: '/.well-known/oauth-authorization-server',
    clientId,
    clientSecret,
    authenticationMethod,
  });
  const owner = client(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT);
  let token = await owner.clientCredentials();
  const life = token.expiresAt - Date.now();
  check(life > 590_000 && life <= 600_000, `${authenticationMethod}: a token with the secret, from a discovered endpoint`);
  const told = await owner.introspect(token);
  check(told.active === true && told.client_id === INTEROP_CLIENT_ID, `${authenticationMethod}: it introspects as active`);
  token = await client(INTEROP_CLIENT_ID, INTEROP_BARE_SECRET).clientCredentials({ resource: `${INTEROP_ISSUER}/` });
  check(token.accessToken.split('.').length === 3, `${authenticationMethod}: a token for a resource with a trailing slash`);
  token = await client(INTEROP_READER_ID, INTEROP_READER_KEY_TEXT).clientCredentials({ scope: ['read'] });
  check(token.scope === undefined || token.scope.join(' ') === 'read', `${authenticationMethod}: a token for the scope read`);

  for (const [what, status, error, who, parameters] of [
    ['a wrong secret', 401, 'invalid_client', client(INTEROP_CLIENT_ID, INTEROP_WRONG_KEY_TEXT)],
    ['an unknown client_id', 401, 'invalid_client', client(unknown, INTEROP_KEY_TEXT)],
    ['the scope openid', 400, 'invalid_scope', owner, { scope: ['openid'] }],
  ]) {
    const refusal = await thrown(who.clientCredentials(parameters));
    const typed = refusal instanceof OAuth2HttpError && refusal.httpCode === status && refusal.oauth2Code === error;
    check(typed, `${authenticationMethod}: ${what} is reported as ${error}`);
  }
}
