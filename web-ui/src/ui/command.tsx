// A command to run elsewhere, with a button that copies it.

import { useState } from "preact/hooks";

export function Command({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false);
  // Browsers give the clipboard to pages by https and on the machine itself only.
  const clipboard = globalThis.navigator?.clipboard;
  return (
    <div class="command">
      <code>{text}</code>
      {clipboard && (
        <button type="button" onClick={() => clipboard.writeText(text).then(() => setCopied(true))}>
          {isCopied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  );
}
