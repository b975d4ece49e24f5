/** Where viewers left what they watched, on this device. Keys name a broadcast or a video. */
export interface Mark {
  /** Seconds from the start. */
  at: number
  /** When it was left, epoch milliseconds. */
  seen: number
}

const store = 'mediad.resume'
/** Marks that are kept; the oldest go. */
const most = 100
/** Who has seen less than this many seconds, or nearly all, begins anew. */
export const edge = 30

/** Where to go on; null: at the start. */
export function readMark(key: string, storage: Pick<Storage, 'getItem'> | null = safeStorage()): Mark | null {
  return readAll(storage).find(([name]) => name === key)?.[1] ?? null
}

/** Remembers a place in what is `length` seconds long (Infinity: it goes on), or forgets it where it is not worth it. */
export function writeMark(
  key: string,
  at: number,
  length: number,
  storage: Pick<Storage, 'getItem' | 'setItem'> | null = safeStorage(),
  now: () => number = Date.now,
): void {
  const rest = readAll(storage).filter(([name]) => name !== key)
  const worth = at > edge && at < length - edge
  const all = worth ? [...rest, [key, { at: Math.round(at * 10) / 10, seen: now() }] as const] : rest
  all.sort(([, a], [, b]) => b.seen - a.seen)
  try {
    storage?.setItem(store, JSON.stringify(Object.fromEntries(all.slice(0, most))))
  } catch {
    // A full or closed storage: they begin at the start.
  }
}

function readAll(storage: Pick<Storage, 'getItem'> | null): [string, Mark][] {
  try {
    const stored: unknown = JSON.parse(storage?.getItem(store) ?? '{}')
    return Object.entries(stored as object).filter((entry): entry is [string, Mark] => isMark(entry[1]))
  } catch {
    return []
  }
}

function isMark(value: unknown): value is Mark {
  if (typeof value !== 'object' || value === null) return false
  const { at, seen } = value as Record<string, unknown>
  return Number.isFinite(at) && Number.isFinite(seen)
}

function safeStorage(): Storage | null {
  try {
    return globalThis.localStorage
  } catch {
    return null
  }
}
