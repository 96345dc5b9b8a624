// The client of the earlier SDK, which is one package.
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { ISSUER, RESOURCE, CLIENT_ID, CLIENT_SECRET } = process.env;
const authProvider = new ClientCredentialsProvider({
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  expectedIssuer: ISSUER,
});
const client = new Client({ name: 'example', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider }));
const result = await client.callTool({ name: 'add', arguments: { a: 19, b: 23 } });
console.log(result.content[0].text);
await client.close();
