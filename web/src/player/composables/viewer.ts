const key = 'mediad.viewer'

/** What this device calls its viewer: made once at random, and kept. Storage that is closed to us makes one for each visit. */
export function viewerId(
  storage: Pick<Storage, 'getItem' | 'setItem'> | null = safeStorage(),
  random: () => string = uuid,
): string {
  try {
    const kept = storage?.getItem(key)
    if (kept && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(kept)) return kept
    const made = random()
    storage?.setItem(key, made)
    return made
  } catch {
    return random()
  }
}

/** Version 4. `crypto.randomUUID` is there in secure contexts alone, and a server in one's own network is none. */
function uuid(): string {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))]
  const hex = bytes
    .map((byte, i) => (i === 6 ? (byte & 0x0f) | 0x40 : i === 8 ? (byte & 0x3f) | 0x80 : byte))
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function safeStorage(): Storage | null {
  try {
    return globalThis.localStorage
  } catch {
    return null
  }
}
