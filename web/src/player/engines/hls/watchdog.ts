/**
 * Notices a picture that stands although the playlist goes on, which no error event tells. It counts decoded
 * pictures, because hls.js moves currentTime by seeking while it is stuck.
 */
export interface Sighting {
  /** Monotonic milliseconds. */
  now: number
  /** When the newest picture was decoded. */
  frameAt: number
  /** When the playlist last named new media. */
  advancedAt: number
  /** The playlist goes on if it named media within this many milliseconds. */
  fresh: number
  /** The viewer wants playback and the page is in sight. */
  watching: boolean
}

/** Milliseconds that a picture may stand while new media is listed. */
const patience = 5_000
/** Milliseconds between two reloads: the first is followed at once only by patience itself. */
const pauses = [0, 5_000, 10_000, 20_000, 40_000]

export class Watchdog {
  private since = -Infinity
  private reloads = 0
  private quietUntil = -Infinity

  /** Whether the source must be loaded again now. The caller loads it when told so. */
  look(s: Sighting): boolean {
    // Neither a pause nor a publisher's absence is counted: the picture has its time from when it could go on.
    const goesOn = s.now - s.advancedAt < s.fresh
    if (!s.watching || !goesOn) {
      this.since = s.now
      return false
    }
    if (s.frameAt > this.since) {
      this.since = s.frameAt
      if (this.reloads && s.now - this.quietUntil > 30_000) this.reloads = 0
    }
    const stands = s.now - Math.max(s.frameAt, this.since) >= patience
    if (!stands || s.now < this.quietUntil) return false
    this.quietUntil = s.now + patience + (pauses[Math.min(this.reloads, pauses.length - 1)] ?? 0)
    this.reloads++
    this.since = s.now
    return true
  }
}
