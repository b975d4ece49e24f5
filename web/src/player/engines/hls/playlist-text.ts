/** The newest media that a media playlist names. */
export interface Edge {
  /** Number of the newest complete segment; one under MEDIA-SEQUENCE when there is none. */
  msn: number
  /** Parts listed after the newest complete segment. */
  parts: number
  ended: boolean
}

/** Reads the edge out of a media playlist without parsing the rest; null when it is none. */
export function edgeOf(text: string): Edge | null {
  if (!text.startsWith('#EXTM3U')) return null
  let first = 0
  let segments = 0
  let parts = 0
  let ended = false
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) first = Number.parseInt(line.slice(22), 10)
    else if (line.startsWith('#EXTINF:')) {
      segments++
      parts = 0
    } else if (line.startsWith('#EXT-X-SKIP:')) {
      segments += Number.parseInt(/SKIPPED-SEGMENTS=(\d+)/.exec(line)?.[1] ?? '0', 10)
    } else if (line.startsWith('#EXT-X-PART:')) parts++
    else if (line.startsWith('#EXT-X-ENDLIST')) ended = true
  }
  if (!Number.isSafeInteger(first)) return null
  return { msn: first + segments - 1, parts, ended }
}

/** Whether a playlist names what `_HLS_msn` and `_HLS_part` asked for (a missing part: the whole segment). */
export function answers(edge: Edge, msn: number, part?: number): boolean {
  if (edge.ended || edge.msn >= msn) return true
  return part !== undefined && edge.msn === msn - 1 && edge.parts > part
}

/** Whether the newest complete segment of a media playlist is a gap, or there is none to play. */
export function endsInGap(text: string): boolean {
  let gap = false
  let newest = true
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-GAP')) gap = true
    else if (line && !line.startsWith('#')) {
      newest = gap
      gap = false
    }
  }
  return newest
}

/** A playlist URL without its delivery directives. */
export function plain(url: string): string {
  const u = new URL(url, globalThis.location?.href)
  for (const key of [...u.searchParams.keys()]) if (key.startsWith('_HLS_')) u.searchParams.delete(key)
  return u.href
}

/** Seconds of the media playlist in front of its end in which nobody begins who wants to go on without waiting. */
const fromEnd = 1.5

/**
 * A media playlist that asks players to begin at a programme date (EXT-X-START), to the picture. A date at which nothing
 * was sent is where media goes on; too late a date is one and a half target durations before the end. Playlists without
 * dates, and all others, are returned as they are.
 */
export function withStart(text: string, date: number): string {
  if (!text.startsWith('#EXTM3U')) return text
  let target = 0
  let total = 0
  let at: number | null = null
  let offset: number | null = null
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-TARGETDURATION:')) target = Number(line.slice(22))
    else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) at = Date.parse(line.slice(25))
    else if (line.startsWith('#EXTINF:')) {
      const length = Number.parseFloat(line.slice(8))
      if (at !== null && offset === null && date < at + length * 1_000)
        offset = total + Math.max(0, (date - at) / 1_000)
      if (at !== null) at += length * 1_000
      total += length
    }
  }
  if (at === null || !Number.isFinite(total)) return text
  const last = Math.max(0, total - (text.includes('#EXT-X-ENDLIST') ? 0.5 : target * fromEnd))
  const start = Math.min(offset ?? last, last).toFixed(3)
  return text.replace('#EXTM3U', `#EXTM3U\n#EXT-X-START:TIME-OFFSET=${start},PRECISE=YES`)
}
