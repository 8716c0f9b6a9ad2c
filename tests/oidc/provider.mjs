// A provider of identities, oidc-provider (panva), that lets in whom the test names, and does what else it
// is told on standard input, one JSON object a line:
//   {"person": {"sub": "7", "preferred_username": "ann", "groups": ["ops"]}}  signs in from now on
//   {"person": null}    refuses whoever comes
//   {"keys": "ES256"}   signs with a new key of this algorithm from now on, and publishes no other
//   {"claims": "token"} tells claims in the token, or by "userinfo" alone
// Each is answered by a line that says so.
//
// Arguments: its port; the address that browsers are sent back to; the secret of the client.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const [port, redirect, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

let person = null;
let claims = 'userinfo';
let algorithm = 'RS256';
let key = null;
let provider = null;
let handle = null;
let made = 0;

async function newKey() {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
    made += 1;
    key = { ...(await exportJWK(privateKey)), use: 'sig', alg: algorithm, kid: `key-${made}` };
}

// What it has promised is in the memory of the module, and so outlives a change of the keys.
function begin() {
    provider = new Provider(issuer, {
        clients: [
            {
                client_id: 'tandem',
                client_secret: secret,
                redirect_uris: [redirect],
                id_token_signed_response_alg: algorithm,
            },
        ],
        enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA', 'Ed25519'] },
        jwks: { keys: [key] },
        cookies: { keys: ['a test'] },
        claims: { openid: ['sub'], profile: ['preferred_username', 'name', 'groups'], email: ['email'] },
        conformIdTokenClaims: claims === 'userinfo',
        features: { devInteractions: { enabled: false } },
        interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
        findAccount: (_, sub) => ({ accountId: sub, claims: async () => ({ ...person, sub }) }),
    });
    provider.on('server_error', (_, error) => say({ kind: 'error', why: String(error) }));
    provider.on('grant.error', (_, error) => say({ kind: 'grant', why: String(error) }));
    handle = provider.callback();
}

// In place of a page with a form: signs in whoever the test has named, and agrees to all.
async function interact(request, response) {
    const { params, grantId } = await provider.interactionDetails(request, response);
    if (person === null) {
        const refusal = { error: 'access_denied', error_description: 'nobody is let in' };
        return provider.interactionFinished(request, response, refusal);
    }
    const known = grantId && (await provider.Grant.find(grantId));
    const grant = known || new provider.Grant({ accountId: person.sub, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const result = { login: { accountId: person.sub }, consent: { grantId: await grant.save() } };
    return provider.interactionFinished(request, response, result);
}

await newKey();
begin();
const server = createServer((request, response) => {
    if (!request.url.startsWith('/interaction/')) return handle(request, response);
    return interact(request, response).catch((error) => {
        say({ kind: 'error', why: String(error) });
        response.writeHead(500).end();
    });
});
server.listen(Number(port), '127.0.0.1', () => say({ kind: 'ready' }));

createInterface({ input: process.stdin }).on('line', async (line) => {
    const wish = JSON.parse(line);
    if ('person' in wish) person = wish.person;
    if ('claims' in wish) claims = wish.claims;
    if ('keys' in wish) {
        algorithm = wish.keys;
        await newKey();
    }
    if (!('person' in wish)) begin();
    say({ kind: 'done', number: wish.number });
});
