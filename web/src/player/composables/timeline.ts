import type { Stats } from '../engines/engine'

/** What is played: the live playlist, its DVR, or a video. */
export type Way = 'live' | 'dvr' | 'video'

/** How far back a stream can be watched while it is live. */
export interface Dvr {
  /** Multivariant playlist over that range. */
  url: string
  seconds: number
  /** Start of the broadcast, epoch milliseconds. */
  startedAt: number
}

/** What the seek bar spans, in seconds: of the media, or since 1970 where programme dates are known. */
export interface Timeline {
  start: number
  end: number
  at: number
  dated: boolean
}

/** What the viewer sees, and the earliest that can be seen, in seconds since the broadcast began. */
export interface Moment {
  at: number
  start: number
}

/** Null where there is nothing to seek in. */
export function timelineOf(way: Way, stats: Stats, position: number, dvr: Dvr | null): Timeline | null {
  const { window, dates } = stats
  if (way === 'video' || !dates || (way === 'live' && !dvr))
    return window && { ...window, at: position, dated: false }
  // What the server has is known once its playlist is here; until then it is what was promised.
  const promised =
    way === 'live' && dvr ? Math.max(dvr.startedAt, dates.end - dvr.seconds * 1_000) : dates.start
  return {
    start: Math.min(promised, dates.start) / 1_000,
    end: dates.end / 1_000,
    at: dates.at / 1_000,
    dated: true,
  }
}
