const kept = 'mediad.token:'

/** Where the browser keeps nothing for the site, the link has to be opened again after signing in. */
function stored<T>(use: () => T): T | undefined {
  try {
    return use()
  } catch {
    return undefined
  }
}

/** Keeps the token of a link's address for when its page is reached, in this tab alone. */
export function keepToken(path: string, hash: string): void {
  const token = new URLSearchParams(hash.slice(1)).get('token')
  if (token) stored(() => sessionStorage.setItem(kept + path, token))
}

/** The token that is kept for a page. */
export function keptToken(path: string): string {
  return stored(() => sessionStorage.getItem(kept + path)) ?? ''
}

/** Nobody needs the token any more. */
export function dropToken(path: string): void {
  stored(() => sessionStorage.removeItem(kept + path))
}

/**
 * The token of a link that came by mail. It is behind the #, which no server and no log sees, and it is taken out of the
 * address, so that it stays in no history.
 */
export function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? ''
  if (location.hash) history.replaceState(history.state, '', location.pathname + location.search)
  return token
}
