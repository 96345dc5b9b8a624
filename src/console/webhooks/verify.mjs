import { createHmac, timingSafeEqual } from "node:crypto";

const secret = Buffer.from(process.env.KEYTURN_WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");

// headers: lower-case names, as in request.headers. body: raw Buffer.
export function isGenuine(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": given } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(at)) <= 300)) return false;
  const digest = createHmac("sha256", secret).update(`${id}.${at}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  return given.split(" ").some(one => {
    const signature = Buffer.from(one);
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
}
