// Why the coordinator refused, for people.

/** Problem documents begin in lower case, for logs, and have commands between backticks. */
export function sentence(text: string): (string | HTMLElement)[] {
  const parts = `${text.charAt(0).toUpperCase()}${text.slice(1)}.`.split("`");
  return parts.map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
}
