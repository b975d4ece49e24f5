/**
 * Holds playback as near to the live edge as the buffer allows, by playing a little faster or slower.
 * hls.js has a controller of its own, but it works only above one second of buffer; with a hold-back of
 * 0.64 s there never is so much. Pure: the caller samples and applies.
 */
export interface LatencySample {
  /** Monotonic milliseconds. */
  now: number
  /** Seconds from the playback position to the estimated live edge. */
  latency: number
  /** Seconds of media ahead of the playback position without a hole. */
  buffer: number
  /** Seconds that the origin asks to stay behind (PART-HOLD-BACK, else HOLD-BACK). */
  holdBack: number
  /** Seconds a part lasts at most; 0 where the playlist has none. */
  partTarget: number
  /** Nobody hears the pitch of a muted stream, so it may catch up faster. */
  muted: boolean
}

export interface LatencyDecision {
  rate: number
  /** Too far behind to catch up by rate: jump to the live edge. */
  jump: boolean
  /** Seconds behind the live edge that are being held. */
  target: number
}

/** Viewers notice neither speech nor music at this rate. */
const gentle = 1.04
/** While muted or far behind. */
const brisk = 1.1
/**
 * The rate to come back with after an absence: the first part is all there is, and the next one is a part away.
 * Slow motion for half a second is kinder than a picture that starts, stops and starts.
 */
export const returnRate = 0.35

/** Catch-up begins this many seconds above the target and lasts until it is reached. */
const slack = 0.1
/** Nearer to the edge than the target by more than this, playback is slowed in proportion to what is missing. */
const tooNear = 0.08
const slowdown = 1.5
/** Seconds of buffer under which catching up stops: less could run dry before the next part is here. */
const enough = 0.25
/** Without parts media comes in whole segments, so the buffer must not fall under this many seconds. */
const enoughWithoutParts = 1
/** Seconds over the target from where seeking is kinder than half a minute of fast playback. */
const hopeless = 2.5

/** Every time playback ran dry the target moves away from the edge, in seconds, and comes back slowly. */
const stallStep = 0.15
const stallMost = 1.5
const forgiveAfter = 20_000
const forgiveEvery = 4_000

/**
 * The hold-back is what the origin asks of any player on any network. Where parts are on time the buffer never
 * falls near empty, and part of the distance can be given back: in steps, while the lowest buffer of the last
 * two watches stays above `easy`, back out when it falls under `uneasy` (seconds), and never nearer than a
 * little over two parts.
 */
const watch = 1_500
const easy = 0.3
const uneasy = 0.2
const easeStep = 0.06
const nearestParts = 2.2

/**
 * Milliseconds after a level switch began in which nothing is caught up and nothing of the hold-back is given
 * back: the new level's playlist and first parts come a round trip or two late, and they are larger.
 */
const switchTime = 2_500

export class LatencyController {
  private rate = 1
  private penalty = 0
  private forgiveAt = 0
  private ease = 0
  private lowest = Infinity
  private lowestBefore = Infinity
  private watchedSince = -Infinity
  private switchUntil = -Infinity

  /** Playback ran dry although media was coming. */
  stalled(now: number): void {
    this.penalty = Math.min(stallMost, this.penalty + stallStep)
    this.forgiveAt = now + forgiveAfter
    this.rate = 1
    this.ease = 0
  }

  /** Another quality is being loaded: the distance that was given back is wanted now. */
  switching(now: number): void {
    this.rate = 1
    this.ease = 0
    this.lowest = this.lowestBefore = Infinity
    this.watchedSince = -Infinity
    this.switchUntil = now + switchTime
  }

  /** A new source owes nothing to the old one. */
  reset(): void {
    this.rate = 1
    this.penalty = 0
    this.ease = 0
    this.lowest = this.lowestBefore = Infinity
    this.watchedSince = -Infinity
    this.switchUntil = -Infinity
  }

  decide(s: LatencySample): LatencyDecision {
    if (this.penalty > 0 && s.now >= this.forgiveAt) {
      this.penalty = Math.max(0, this.penalty - stallStep)
      this.forgiveAt = s.now + forgiveEvery
    }
    this.watchBuffer(s)
    const nearest = s.partTarget > 0 ? s.partTarget * nearestParts : s.holdBack
    const target = Math.max(Math.min(nearest, s.holdBack), s.holdBack - this.ease) + this.penalty
    const over = s.latency - target
    const floor = s.partTarget > 0 ? enough : enoughWithoutParts
    if (over > Math.max(hopeless, s.holdBack)) {
      this.rate = 1
      return { rate: 1, jump: true, target }
    }
    this.rate = this.choose(over, s, floor)
    return { rate: this.rate, jump: false, target }
  }

  private watchBuffer(s: LatencySample): void {
    if (s.partTarget <= 0 || s.now < this.switchUntil) return
    this.lowest = Math.min(this.lowest, s.buffer)
    if (s.now - this.watchedSince < watch) return
    const first = this.watchedSince === -Infinity
    const low = Math.min(this.lowest, this.lowestBefore)
    this.watchedSince = s.now
    this.lowestBefore = this.lowest
    this.lowest = Infinity
    if (first) return
    const most = Math.max(0, s.holdBack - s.partTarget * nearestParts)
    if (low < uneasy) this.ease = Math.max(0, this.ease - 2 * easeStep)
    else if (low > easy && this.penalty === 0) this.ease = Math.min(most, this.ease + easeStep)
  }

  private choose(over: number, s: LatencySample, floor: number): number {
    // Under one part in hand the next one must be on time to the millisecond.
    const low = s.partTarget > 0 ? s.partTarget * 0.75 : 0.3
    const thin = s.buffer < low ? returnRate + (1 - returnRate) * (s.buffer / low) : 1
    const near = over < -tooNear ? 1 + over * slowdown : 1
    const slow = Math.max(returnRate, Math.min(thin, near))
    if (slow < 1) return Math.round(slow * 20) / 20
    if (s.now < this.switchUntil) return 1
    const catching = this.rate > 1
    if (s.buffer <= floor || over <= (catching ? 0.01 : slack)) return 1
    const far = over > 0.5 && s.buffer > floor + 0.25
    return far || (s.muted && over > slack) ? brisk : gentle
  }
}
