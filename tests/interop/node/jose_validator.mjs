// jose: a resource server with a remote JWKS, everything pinned.
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { checks, thrown } from './check.mjs';

const { INTEROP_ISSUER: issuer, INTEROP_ALGORITHM: algorithm, INTEROP_TOKEN: token, INTEROP_CLIENT_ID } = process.env;
const check = checks('jose');

const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
const pinned = {
  issuer,
  audience: issuer,
  algorithms: [algorithm],
  typ: 'at+jwt',
  requiredClaims: ['sub', 'exp', 'iat', 'jti', 'client_id', 'scope'],
};

const { payload, protectedHeader } = await jwtVerify(token, keys, pinned);
check(protectedHeader.alg === algorithm && typeof protectedHeader.kid === 'string', `${algorithm}: the token is accepted`);
check(payload.sub === INTEROP_CLIENT_ID && payload.aud === issuer, `${algorithm}: it names client and audience`);

for (const [what, different, claim] of [
  ['another audience', { audience: 'https://elsewhere.example' }, 'aud'],
  ['another issuer', { issuer: `${issuer}/` }, 'iss'],
  ['another typ', { typ: 'JWT' }, 'typ'],
]) {
  const refusal = await thrown(jwtVerify(token, keys, { ...pinned, ...different }));
  check(refusal instanceof errors.JWTClaimValidationFailed && refusal.claim === claim, `${algorithm}: ${what} is refused`);
}
const [head, body, signature] = token.split('.');
const forged = [head, body, (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)].join('.');
const refusal = await thrown(jwtVerify(forged, keys, pinned));
check(refusal instanceof errors.JWSSignatureVerificationFailed, `${algorithm}: another signature is refused`);
