import type { Delivery } from '../engines/engine'
import type { Wish } from '../engines/hls/quality'

/** What this viewer chose on this device. Storage that is closed to us only means that nothing is remembered. */
export interface Preferences {
  /** 0 to 1. */
  volume: number
  /** Null until the viewer has said so once: then autoplay starts muted. */
  sound: boolean | null
  quality: Wish
  /** Real time where a stream offers it. */
  delivery: Delivery
  theatre: boolean
  /** Single-key shortcuts can be turned off (WCAG 2.1.4). */
  shortcuts: boolean
}

const key = 'mediad.player'
const defaults: Preferences = {
  volume: 1,
  sound: null,
  quality: 'auto',
  delivery: 'low',
  theatre: false,
  shortcuts: true,
}

export function readPreferences(storage: Pick<Storage, 'getItem'> | null = safeStorage()): Preferences {
  try {
    const stored: unknown = JSON.parse(storage?.getItem(key) ?? '{}')
    return { ...defaults, ...sane(stored) }
  } catch {
    return { ...defaults }
  }
}

export function writePreferences(
  change: Partial<Preferences>,
  storage: Pick<Storage, 'getItem' | 'setItem'> | null = safeStorage(),
): void {
  try {
    storage?.setItem(key, JSON.stringify({ ...readPreferences(storage), ...change }))
  } catch {
    // A full or closed storage costs the viewer a choice, never the picture.
  }
}

function safeStorage(): Storage | null {
  try {
    return globalThis.localStorage
  } catch {
    return null
  }
}

function sane(stored: unknown): Partial<Preferences> {
  if (typeof stored !== 'object' || stored === null) return {}
  const s = stored as Record<string, unknown>
  const out: Partial<Preferences> = {}
  if (typeof s.volume === 'number' && s.volume >= 0 && s.volume <= 1) out.volume = s.volume
  if (typeof s.sound === 'boolean') out.sound = s.sound
  const quality = saneQuality(s.quality)
  if (quality) out.quality = quality
  if (s.delivery === 'low' || s.delivery === 'real') out.delivery = s.delivery
  if (typeof s.theatre === 'boolean') out.theatre = s.theatre
  if (typeof s.shortcuts === 'boolean') out.shortcuts = s.shortcuts
  return out
}

/** Earlier versions kept the height alone, 0 for automatic. */
function saneQuality(stored: unknown): Wish | null {
  if (stored === 'auto' || stored === 'sound') return stored
  if (typeof stored === 'number') return stored > 0 ? { height: stored, fps: 0 } : null
  if (typeof stored !== 'object' || stored === null) return null
  const { height, fps } = stored as Record<string, unknown>
  const sane = typeof height === 'number' && height >= 0 && typeof fps === 'number' && fps >= 0
  return sane ? { height, fps } : null
}
