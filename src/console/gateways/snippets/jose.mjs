import { createRemoteJWKSet, jwtVerify } from "jose";

// Keys are fetched on first use and again for an unknown kid.
const keys = createRemoteJWKSet(new URL("https://keys.example.com/.well-known/jwks.json"));

// Returns the caller. Throws if the token is not valid.
export async function callerOf(request) {
  const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  const { payload } = await jwtVerify(token ?? "", keys, {
    issuer: "https://keys.example.com",
    audience: "https://api.example.com",
    algorithms: ["ES256"],
    typ: "at+jwt",
    requiredClaims: ["exp", "client_id", "scope"],
  });
  if (payload.cidrs) throw new Error("the key is restricted to networks, which are not checked here");
  return { clientId: payload.client_id, organization: payload.org, scopes: payload.scope.split(" ") };
}
