/** What somebody wanted to do before they were signed in: kept in this tab alone, and for as long as signing in may take. */
const key = 'mediad.wish'
const good = 30 * 60_000

interface Wish {
  follow: string
  at: number
}

/** Follows that user once whoever asks is signed in and back on a page with the button. */
export function wishToFollow(username: string, now = Date.now()): void {
  try {
    sessionStorage.setItem(key, JSON.stringify({ follow: username, at: now } satisfies Wish))
  } catch {
    // Closed storage: the button has to be pressed again.
  }
}

/** Whether that was wished for, which is told once: whatever was wished is forgotten. */
export function takeWish(username: string, now = Date.now()): boolean {
  try {
    const wish = JSON.parse(sessionStorage.getItem(key) ?? 'null') as Partial<Wish> | null
    sessionStorage.removeItem(key)
    return wish?.follow === username && now - (wish.at ?? 0) < good
  } catch {
    return false
  }
}
