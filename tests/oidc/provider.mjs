// A real OpenID provider on loopback, for coordinator/tests/oidc. Usage: node provider.mjs REDIRECT_URI
// Prints its issuer as a line; whoever `login_hint` names is who signs in. It ends with its standard input.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirectUri] = process.argv.slice(2);

/** Two people with one e-mail address, and somebody of no group. */
const PEOPLE = {
  ada: { preferred_username: "ada", email: "shared@example.org", groups: ["ops", "everybody"] },
  eve: { preferred_username: "eve", email: "shared@example.org", groups: ["everybody"] },
  tom: { preferred_username: "tom", email: "tom@example.org", groups: [] },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "warren", client_secret: "a secret: with signs/+&", redirect_uris: [redirectUri] }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
    cookies: { keys: ["not a secret"] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    // Who signs in has agreed.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid profile email");
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
  });
  provider.use(async (context, next) => {
    if (!context.path.startsWith("/interaction/")) return next();
    const { params } = await provider.interactionDetails(context.req, context.res);
    const result = { login: { accountId: params.login_hint } };
    await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
    context.respond = false;
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
