// The page of one's own account: how one signs in.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "../ui/theme.css";
import "../ui/base.css";
import "./sign-in.css";
import { account, beginOidc, identityCount, oidcName, unlinkIdentities } from "../api/client";
import { refusedBy } from "./refused";
import { SignInForm } from "./sign-in-form";

/** What the page knows: the person (null: nobody is signed in), the provider, and how many identities there are linked. */
interface Known {
  person: string | null;
  provider: string | null;
  identities: number;
}

async function ask(): Promise<Known> {
  const [person, provider] = await Promise.all([account(), oidcName()]);
  return { person, provider, identities: person === null ? 0 : await identityCount() };
}

export function AccountPage() {
  const [known, setKnown] = useState<Known | null>(null);
  const [why, setWhy] = useState(refusedBy(location.search));
  useEffect(() => {
    ask().then(setKnown);
  }, []);
  if (known === null) return <p>Asking the coordinator…</p>;
  if (known.person === null) {
    return (
      <>
        <h1>Your account</h1>
        <SignInForm back="/account" />
      </>
    );
  }
  const told = (refused: string | null) => {
    setWhy(refused && `${refused.charAt(0).toUpperCase()}${refused.slice(1)}.`);
    ask().then(setKnown);
  };
  return (
    <>
      <img src="/icon.svg" alt="" width="40" height="40" />
      <h1>{known.person}</h1>
      <Link known={known} told={told} />
      <p class="refusal" role="alert">
        {why}
      </p>
      <p>
        <a href="/">Your networks</a>
      </p>
    </>
  );
}

function Link({ known, told }: { known: Known; told: (refused: string | null) => void }) {
  if (known.provider === null) return <p>You sign in here by name and password, or by a link.</p>;
  if (known.identities > 0) {
    return (
      <>
        <p>You can sign in with {known.provider}.</p>
        <button type="button" onClick={() => unlinkIdentities().then(told)}>
          Unlink {known.provider}
        </button>
      </>
    );
  }
  return (
    <>
      <p>Link this account to sign in with {known.provider} from now on.</p>
      <button
        type="button"
        class="primary"
        onClick={() =>
          beginOidc("/api/v1/account/identities", null).then((refused) => {
            if (refused !== null) told(refused);
          })
        }
      >
        Link {known.provider}
      </button>
    </>
  );
}

const root = globalThis.document?.getElementById("account");
if (root) render(<AccountPage />, root);
