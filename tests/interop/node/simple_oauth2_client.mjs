// simple-oauth2: both ways to authenticate a client, and what it makes of errors.
import { ClientCredentials } from 'simple-oauth2';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
const check = checks('simple-oauth2');
const unknown = [...INTEROP_CLIENT_ID].reverse().join('');

for (const [name, authorizationMethod] of [['client_secret_basic', 'header'], ['client_secret_post', 'body']]) {
  const grant = async (id, secret, parameters = {}) => {
    const auth = { tokenHost: INTEROP_ISSUER, tokenPath: '/oauth/token' };
    const client = new ClientCredentials({ client: { id, secret }, auth, options: { authorizationMethod } });
    return (await client.getToken(parameters)).token;
  };
  let token = await grant(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT);
  check(token.token_type === 'Bearer' && token.expires_in === 600, `${name}: a token with the secret`);
  token = await grant(INTEROP_CLIENT_ID, INTEROP_BARE_SECRET, { scope: ['read:projects/acme/#', 'write'] });
  check(token.scope === 'read:projects/acme/# write', `${name}: a token with the bare secret and a narrower scope`);
  token = await grant(INTEROP_READER_ID, INTEROP_READER_KEY_TEXT, { scope: 'read' });
  check(token.scope === 'read', `${name}: a token for the scope read, spelled so`);

  for (const [what, status, error, ...request] of [
    ['a wrong secret', 401, 'invalid_client', INTEROP_CLIENT_ID, INTEROP_WRONG_KEY_TEXT],
    ['an unknown client_id', 401, 'invalid_client', unknown, INTEROP_KEY_TEXT],
    ['the scope openid', 400, 'invalid_scope', INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, { scope: 'openid' }],
  ]) {
    const refusal = await thrown(grant(...request));
    const seen = [refusal?.output?.statusCode, refusal?.data?.payload?.error];
    check(seen[0] === status && seen[1] === error, `${name}: ${what} is reported as ${error}`);
  }
}
