/** A segment as hls.js knows it: where it lies in the media, and when it was. */
export interface Dated {
  /** Position and length in seconds. */
  start: number
  duration: number
  /** Epoch milliseconds of its first picture; null where the playlist tells no dates. */
  programDateTime: number | null
}

/** What can be sought, and what is shown, by programme date in epoch milliseconds. */
export interface Dates {
  start: number
  end: number
  at: number
}

/** Programme date at a position; before the first segment and behind the last one it is reckoned from them. */
export function dateAt(segments: readonly Dated[], position: number): number | null {
  const segment = lastWhere(segments, ({ start }) => start <= position) ?? segments[0]
  if (!segment || segment.programDateTime === null) return null
  return segment.programDateTime + (position - segment.start) * 1_000
}

/**
 * Position of a programme date. A date at which nothing was sent is the start of what came next, one before all segments
 * the start of the first; behind the last one it is reckoned from that.
 */
export function positionAt(segments: readonly Dated[], date: number): number | null {
  const first = segments[0]
  if (!first || first.programDateTime === null) return null
  const segment = lastWhere(segments, (s) => (s.programDateTime ?? Infinity) <= date)
  if (!segment || segment.programDateTime === null) return first.start
  const after = (date - segment.programDateTime) / 1_000
  return segment.start + (segment === segments.at(-1) ? after : Math.min(segment.duration, after))
}

/** Dates of what `segments` hold up to position `end`; null where there are none. */
export function datesOf(
  segments: readonly Dated[],
  { at, end }: { at: number | null; end: number },
): Dates | null {
  const start = segments[0]?.programDateTime ?? null
  const last = dateAt(segments, end)
  return start === null || last === null ? null : { start, end: last, at: at ?? last }
}

/** The last of the segments, which rise, for which it holds. */
function lastWhere(segments: readonly Dated[], holds: (s: Dated) => boolean): Dated | undefined {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >> 1
    const segment = segments[middle]
    if (segment && holds(segment)) low = middle + 1
    else high = middle
  }
  return segments[low - 1]
}
