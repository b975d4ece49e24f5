/**
 * Gets a standing picture to move again, by a seek. Browsers double the sound that they want in hand after
 * every time they ran dry (Chromium: 0.2 s, 0.4 s … 3 s) and start anew only with a seek; so after a publisher's
 * third return the picture would come three seconds late although the media is there. Pure.
 */
export interface Standing {
  /** Milliseconds since the last new picture. */
  standing: number
  /** Milliseconds since the last seek out of here. */
  sinceSeek: number
  /** Position of the element, seconds. */
  position: number
  /** Buffered ranges, seconds. */
  ranges: [start: number, end: number][]
  /** Where the media ended when the publisher went away; null unless one is awaited. */
  gap: number | null
  /** Seconds that playback wants to stay behind the newest media. */
  target: number
}

/** Milliseconds that a picture stands before anything is done. */
const notice = 150
/** Milliseconds between two tries. */
const again = 500
/** Seconds that a hole between two epochs may be wide. */
const reach = 1
/** A range shorter than this, in seconds, is not worth a seek. */
const worth = 0.05
/** Seconds in hand with which any browser could play. */
const plenty = 0.3

/** The position to seek to, or null to wait. */
export function wayOut(s: Standing): number | null {
  if (s.standing < notice || s.sinceSeek < again) return null
  const newest = s.ranges.at(-1)
  if (!newest) return null

  // The publisher is back: the new epoch begins with a key frame, so its start is shown soonest.
  if (s.gap !== null) {
    const gap = s.gap
    const range = s.ranges.find(([start, end]) => end > gap + worth && start <= gap + reach)
    if (range) return Math.max(range[0], gap) + 0.001
  }

  const here = s.ranges.find(([start, end]) => s.position >= start - 0.1 && s.position <= end)
  const ahead = here ? here[1] - s.position : 0
  if (ahead < plenty) {
    const next = s.ranges.find(
      ([start, end]) => start > s.position && start <= s.position + reach && end - start > worth,
    )
    if (next) return next[0] + 0.001
  }
  // Media enough, and still it stands: go on where playback should be.
  if (here && ahead >= Math.max(plenty, s.target * 0.8))
    return Math.max(s.position + 0.001, here[1] - s.target)
  return null
}

/** Buffered ranges as pairs. */
export function rangesOf(buffered: Pick<TimeRanges, 'length' | 'start' | 'end'>): [number, number][] {
  return Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)])
}
