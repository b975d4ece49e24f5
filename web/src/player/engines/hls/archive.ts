import Hls, { type LevelDetails } from 'hls.js'
import { dryAfter, HlsBase, type HlsOptions, nothing } from './base'
import { archiveConfig } from './config'
import { dateAt, datesOf, positionAt } from './dates'
import type { Stats } from '../engine'
import { withStart } from './playlist-text'
import { forwardBuffer } from './stats'

/** Where to begin: seconds from the start, or a programme date in epoch milliseconds. */
export type Place = { position: number } | { date: number }

export interface ArchiveOptions extends HlsOptions {
  from: Place
  /** The source is the DVR of a stream, which may still grow. Without it what does not answer is gone for good. */
  dvr?: {
    /** Playback has run up to the live edge. */
    onEdge: () => void
    /** There is no DVR any more, and all that was loaded has been shown. */
    onLost: () => void
  }
}

/** Target durations without news after which the publisher is missed. */
const silentTargets = 2.5
/** Milliseconds that the picture stands at the end of an ENDLIST before that is the end. */
const endedAfter = 2_000
/** Seconds before the end in which a picture that stands has come to it. */
const atEnd = 1

/**
 * Plays whole segments: a video, or a stream behind its live edge. A publisher's absence, a new epoch and the end of the
 * session do not end it; what was recorded is played to its last picture.
 */
export class ArchiveEngine extends HlsBase {
  private readonly dvr: ArchiveOptions['dvr']
  /** Where the next source begins: each time at the place where the last one was. */
  private from: Place
  private begun = false
  private lost = false
  private advancedAt = 0

  constructor(options: ArchiveOptions) {
    super(options)
    this.from = options.from
    this.dvr = options.dvr
  }

  override start(): void {
    this.video.addEventListener('play', this.onPlay)
    super.start()
  }

  override destroy(): void {
    this.video.removeEventListener('play', this.onPlay)
    super.destroy()
  }

  goLive(): void {
    this.dvr?.onEdge()
  }

  seek(time: number): void {
    const { details, video } = this
    if (!details) {
      this.from = { position: Math.max(0, time) }
      return
    }
    if (this.current.phase === 'ended') this.dispatch({ type: 'load' })
    const last = details.live ? details.edge - details.targetduration : details.edge
    video.currentTime = Math.min(Math.max(time, details.fragmentStart), last)
  }

  seekDate(date: number): boolean {
    const position = this.details && positionAt(this.details.fragments, date)
    // Asked while it loads: it begins there.
    if (position === null) this.from = { date }
    else this.seek(position)
    return true
  }

  protected load(): void {
    const { from } = this
    this.begun = this.lost = false
    this.advancedAt = this.now()
    const hls = this.open(
      archiveConfig(this.held, {
        startPosition: 'position' in from ? from.position : -1,
        edit: (text) => (this.begun || !('date' in this.from) ? text : withStart(text, this.from.date)),
      }),
    )
    hls.on(Hls.Events.LEVEL_LOADED, (_event, data) => {
      this.lost = false
      if (data.details.advanced) this.advancedAt = this.now()
    })
    hls.on(Hls.Events.FRAG_BUFFERED, () => (this.begun = true))
    this.play(hls)
  }

  protected watch(now: number): void {
    const { details, video } = this
    const { phase } = this.current
    const dry = forwardBuffer(video) < nothing && now - this.picture.at > dryAfter
    if (this.lost && dry) return this.dvr?.onLost()
    if (!details) return
    if (phase === 'playing' && !video.seeking) this.remember(details)
    if (!details.live) {
      const stands = dry && !video.paused && now - this.picture.at > endedAfter
      if (video.ended || (stands && details.edge - video.currentTime < atEnd))
        this.dispatch({ type: 'endlist' })
    } else if (video.playbackRate > 1 && details.edge - video.currentTime < details.targetduration) {
      return this.dvr?.onEdge()
    }
    if (dry && !video.paused && phase === 'playing') {
      this.stallCount++
      this.dispatch({ type: 'dry' })
    }
    const silent = now - this.advancedAt > details.targetduration * silentTargets * 1_000
    if (details.live && dry && silent) this.dispatch({ type: 'silent' })
  }

  private remember(details: LevelDetails): void {
    const date = this.dvr ? dateAt(details.fragments, this.video.currentTime) : null
    this.from = date === null ? { position: this.video.currentTime } : { date }
  }

  /** A DVR goes on without those who pause for longer than it reaches back: they go on with the oldest there is. */
  private onPlay = (): void => {
    const { details, video } = this
    if (details?.live && video.currentTime < details.fragmentStart)
      video.currentTime = details.fragmentStart + 0.5
    this.picture.restart(this.now())
  }

  protected onGone(): void {
    if (!this.dvr) return this.fail('gone')
    this.lost = true
    this.apply(this.recovery.network())
  }

  stats(): Stats {
    const { details, video } = this
    const live = details?.live ?? false
    // Between two reloads the edge is where it would be by now.
    const end = details ? details.edge + (live ? Math.min(details.age, details.targetduration * 2) : 0) : 0
    const at = details ? dateAt(details.fragments, video.currentTime) : null
    return {
      ...this.figures(),
      latency: live ? Math.max(0, end - video.currentTime) : 0,
      target: 0,
      rate: video.playbackRate,
      buffer: forwardBuffer(video),
      behind: live,
      window: details ? { start: details.fragmentStart, end } : null,
      dates: details ? datesOf(details.fragments, { at, end }) : null,
      partTarget: 0,
    }
  }
}
