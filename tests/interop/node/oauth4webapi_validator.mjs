// oauth4webapi as a resource server: its own check of RFC 9068 access tokens.
import * as oauth from 'oauth4webapi';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER, INTEROP_ALGORITHM: algorithm, INTEROP_TOKEN, INTEROP_CLIENT_ID } = process.env;
const check = checks('oauth4webapi-validator');
const settings = {
  [oauth.allowInsecureRequests]: true, // plain HTTP, on loopback only
  signingAlgorithms: [algorithm],
};

const issuer = new URL(INTEROP_ISSUER);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...settings });
const server = await oauth.processDiscoveryResponse(issuer, discovered);
const request = () => new Request('http://127.0.0.1/', { headers: { authorization: `Bearer ${INTEROP_TOKEN}` } });

const claims = await oauth.validateJwtAccessToken(server, request(), INTEROP_ISSUER, settings);
check(claims.client_id === INTEROP_CLIENT_ID && claims.iss === INTEROP_ISSUER, `${algorithm}: the token is accepted`);
const refusal = await thrown(oauth.validateJwtAccessToken(server, request(), 'https://elsewhere.example', settings));
check(refusal !== undefined, `${algorithm}: another audience is refused`);
