// Gets tokens with openid-client and calls an API with them.
import * as oauth from 'openid-client';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, API_URL } = process.env;

const server = await oauth.discovery(new URL(ISSUER), CLIENT_ID, undefined, oauth.ClientSecretBasic(CLIENT_SECRET), {
  algorithm: 'oauth2',
  // Plain HTTP is for local tests only.
  execute: ISSUER.startsWith('http://127.0.0.1') ? [oauth.allowInsecureRequests] : [],
});

let token;
// Returns a token that is valid for at least 30 more seconds.
async function accessToken() {
  if (!token || token.expiresIn() < 30) {
    token = await oauth.clientCredentialsGrant(server, { scope: 'read:orders/*' });
  }
  return token.access_token;
}

const response = await fetch(API_URL, { headers: { authorization: `Bearer ${await accessToken()}` } });
if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
console.log(await response.text());
