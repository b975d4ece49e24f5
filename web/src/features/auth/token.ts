/**
 * The token of a link that came by mail. It is behind the #, which no server and no log sees, and it is taken out of the
 * address, so that it stays in no history.
 */
export function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? ''
  if (location.hash) history.replaceState(history.state, '', location.pathname + location.search)
  return token
}
