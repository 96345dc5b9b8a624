// client-oauth2: HTTP Basic, and what it makes of errors.
import ClientOAuth2 from 'client-oauth2';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, INTEROP_BARE_SECRET, INTEROP_WRONG_KEY_TEXT } = process.env;
const { INTEROP_READER_ID, INTEROP_READER_KEY_TEXT } = process.env;
const check = checks('client-oauth2');
const unknown = [...INTEROP_CLIENT_ID].reverse().join('');

const grant = (clientId, clientSecret, scopes) =>
  new ClientOAuth2({ clientId, clientSecret, scopes, accessTokenUri: `${INTEROP_ISSUER}/oauth/token` }).credentials.getToken();

let token = await grant(INTEROP_CLIENT_ID, INTEROP_KEY_TEXT);
check(token.tokenType === 'bearer' && token.data.expires_in === 600 && !token.expired(), 'a token with the full secret');
const request = token.sign({ url: `${INTEROP_ISSUER}/api/v1/me`, method: 'GET' });
const me = await (await fetch(request.url, request)).json();
check(me.organization === 'default', 'a request that the library signs with the token is accepted');
token = await grant(INTEROP_CLIENT_ID, INTEROP_BARE_SECRET, ['read:projects/acme/#', 'write']);
check(token.data.scope === 'read:projects/acme/# write', 'a token with the bare secret and a narrower scope');
token = await grant(INTEROP_READER_ID, INTEROP_READER_KEY_TEXT, ['read']);
check(token.data.scope === 'read', 'a token for the scope read, spelled so');

for (const [what, error, ...credentials] of [
  ['a wrong secret', 'invalid_client', INTEROP_CLIENT_ID, INTEROP_WRONG_KEY_TEXT],
  ['an unknown client_id', 'invalid_client', unknown, INTEROP_KEY_TEXT],
  ['the scope openid', 'invalid_scope', INTEROP_CLIENT_ID, INTEROP_KEY_TEXT, ['openid']],
]) {
  const refusal = await thrown(grant(...credentials));
  check(refusal?.code === 'EAUTH' && refusal.body.error === error, `${what} is reported as ${error}`);
}
