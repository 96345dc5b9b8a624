// A product with Express that gives its users the portal, as a page and in a frame.
import express from 'express';

const { KEYTURN_SERVER, KEYTURN_API_KEY, APP_URL, PORT } = process.env;
// Yours: the signed-in user of a request, from your own session. Never from the request's own data.
const signedInUser = () => ({ id: 'user_8f3a', name: 'Acme Rockets', email: 'ada@acme.example' });

async function keyturn(method, path, body) {
  const response = await fetch(`${KEYTURN_SERVER}/api/v1/organizations/default${path}`, {
    method,
    headers: { authorization: `Bearer ${KEYTURN_API_KEY}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const json = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${json.detail}`);
  return json;
}

// The customer of a user, created with the first visit.
async function customerOf(user) {
  const found = await keyturn('GET', `/customers?external_id=${encodeURIComponent(user.id)}`);
  return found.items[0] ?? keyturn('POST', '/customers', { external_id: user.id, name: user.name });
}

async function portalUrl(user) {
  const customer = await customerOf(user);
  const session = await keyturn('POST', `/customers/${customer.id}/portal-sessions`, {
    capabilities: ['read', 'create', 'rotate', 'revoke'],
    scopes: ['read:orders/*', 'write:orders/*'],
    return_url: `${APP_URL}/`,
    user: user.email,
  });
  return session.url;
}

const app = express();
app.get('/', (request, response) => {
  response.send('<!doctype html><html lang="en"><title>Orders</title><h1>Orders</h1><a href="/api-keys">API keys</a></html>');
});
// As a page: the URL works once, so create it when the user follows the link.
app.get('/api-keys', async (request, response) => {
  response.set('Cache-Control', 'no-store').redirect(303, await portalUrl(signedInUser()));
});
// In a frame: the same redirect is the address of the frame. The origin must be listed in the portal's settings.
app.get('/settings', (request, response) => {
  response.send(`<!doctype html><html lang="en"><title>Settings</title><h1>Settings</h1>
    <iframe title="API keys" src="/api-keys" width="100%" height="800" allow="clipboard-write"></iframe></html>`);
});
app.listen(PORT, '127.0.0.1');
