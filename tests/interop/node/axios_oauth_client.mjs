// axios-oauth-client: credentials in the body, and the error that axios throws.
import axios, { AxiosError } from 'axios';
import { clientCredentials } from 'axios-oauth-client';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
const check = checks('axios-oauth-client');
const unknown = [...INTEROP_CLIENT_ID].reverse().join('');

const grant = (id, secret, scope) => clientCredentials(axios.create(), `${INTEROP_ISSUER}/oauth/token`, id, secret)(scope);

let token = await grant(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT);
check(token.token_type === 'Bearer' && token.expires_in === 600, 'a token with the full secret');
token = await grant(INTEROP_CLIENT_ID, INTEROP_BARE_SECRET, 'read:projects/acme/# write');
check(token.scope === 'read:projects/acme/# write', 'a token with the bare secret and a narrower scope');
token = await grant(INTEROP_READER_ID, INTEROP_READER_KEY_TEXT, 'read');
check(token.scope === 'read', 'a token for the scope read, spelled so');

for (const [what, status, error, ...credentials] of [
  ['a wrong secret', 401, 'invalid_client', INTEROP_CLIENT_ID, INTEROP_WRONG_KEY_TEXT],
  ['an unknown client_id', 401, 'invalid_client', unknown, INTEROP_KEY_TEXT],
  ['the scope openid', 400, 'invalid_scope', INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, 'openid'],
]) {
  const refusal = await thrown(grant(...credentials));
  const typed = refusal instanceof AxiosError && refusal.status === status && refusal.response.data.error === error;
  check(typed, `${what} is reported as ${error}`);
}
