/** "0:07", "12:05", "3:04:09" from seconds; negative times count as zero. */
export function clock(seconds: number): string {
  const total = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0
  const s = String(total % 60).padStart(2, '0')
  const minutes = Math.floor(total / 60)
  if (minutes < 60) return `${minutes}:${s}`
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${s}`
}

/** Seconds that an address asks for: "90", "90s", "1m30s", "1h2m3s"; null where it asks for nothing that makes sense. */
export function parseTime(text: unknown): number | null {
  const parts = typeof text === 'string' ? /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$/.exec(text) : null
  if (!parts?.[0]) return null
  const [h = 0, m = 0, s = 0] = parts.slice(1).map((part) => Number(part ?? 0))
  return h * 3600 + m * 60 + s
}

/** "1 March 2026" as people of the locale write it; bad dates give an empty string. */
export function day(date: string, locale: string): string {
  const at = Date.parse(date)
  if (Number.isNaN(at)) return ''
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long' }).format(at)
}

/** "1.2K" or "1.2万": a count as people of the locale shorten it. */
export function compact(count: number, locale: string): string {
  return new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 }).format(count)
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** "12 minutes ago" for a moment in the past; under a minute it is "now". Bad dates give an empty string. */
export function ago(date: string, now: number, locale: string): string {
  const then = Date.parse(date)
  if (Number.isNaN(then)) return ''
  const seconds = Math.max(0, (now - then) / 1000)
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
  for (const [unit, length] of steps) {
    if (seconds >= length) return format.format(-Math.floor(seconds / length), unit)
  }
  return format.format(0, 'second')
}

const lengths: [string, number][] = [
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
]

/** "2 hours", "90 minutes", "15 seconds": a length in the largest unit that it is a whole number of. */
export function span(seconds: number, locale: string): string {
  const [unit, length] = lengths.find(([, length]) => seconds % length === 0 && seconds >= length) ?? [
    'second',
    1,
  ]
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(seconds / length)
}

/** "2.7 Mbit/s", "640 kbit/s" from bits per second. */
export function bitrate(bps: number): string {
  if (!Number.isFinite(bps) || bps <= 0) return '–'
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(1)} Mbit/s`
  return `${Math.round(bps / 1e3)} kbit/s`
}

/** A number in 0…2^32 that depends on the text alone (FNV-1a): the same stream always gets the same art. */
export function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i)
    h = Math.imul(h, 0x01000193)
  }
  return h >>> 0
}
