import Hls, { type LevelDetails } from 'hls.js'
import { dryAfter, HlsBase, type HlsOptions, nothing } from './base'
import { liveConfig } from './config'
import { dateAt, datesOf, positionAt } from './dates'
import type { Stats } from '../engine'
import { hurrySound } from './hurry'
import { untilLive, untilNext } from './knock'
import { LatencyController, returnRate } from './latency'
import { forwardBuffer } from './stats'
import { rangesOf, wayOut } from './unstick'
import { Watchdog } from './watchdog'

export interface EngineOptions extends HlsOptions {
  /**
   * The viewer goes on from a place, told by its programme date, that has left the live window. Whoever takes them there
   * says true; otherwise they are taken to the live edge.
   */
  onLeft?: ((date: number) => boolean) | undefined
  /** Whether it is known, otherwise than by the playlist, that nothing is on air. */
  offline?: (() => boolean) | undefined
}

/** Milliseconds without news after which the publisher is missed: several parts, but at least this. */
const silentAfter = 1_000
/** Milliseconds that the picture stands at the end of an ENDLIST before the stream counts as ended. */
const endedAfter = 2_000
/** Seconds behind the target from where a pause counts as a choice of place. */
const keptAfterPause = 1
/** Seconds before the oldest media of the window goes in which a place counts as gone. */
const leaving = 1

/**
 * Plays one live stream into a media element for as long as the page is open: waits for it to start, holds
 * the live edge, survives publisher, network and server going away and coming back, and goes on with the
 * next session. Everything it knows of time and chance comes from its options.
 */
export class HlsEngine extends HlsBase {
  private readonly onLeft: (date: number) => boolean
  private readonly offline: (() => boolean) | undefined
  private readonly latency = new LatencyController()
  private readonly watchdog = new Watchdog()

  private advancedAt = 0
  private unstuckAt = -Infinity
  /** Where the media ended when the publisher was first missed. */
  private gap: number | null = null
  private rate = 1
  private target = 0
  private behind = false
  /** Programme date of the position, as long as the window told it: a pause outlasts the window. */
  private date: number | null = null

  constructor(options: EngineOptions) {
    super(options)
    this.onLeft = options.onLeft ?? (() => false)
    this.offline = options.offline
  }

  /** Whether the viewer has chosen a place behind the live edge. */
  get isBehind(): boolean {
    return this.behind
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
    this.behind = false
    const edge = this.hls?.liveSyncPosition
    if (typeof edge === 'number' && edge > this.video.currentTime) this.video.currentTime = edge
  }

  /** Seeks inside the live window; a place away from the edge is kept, without catching up. */
  seek(time: number): void {
    const edge = this.hls?.liveSyncPosition
    if (typeof edge !== 'number') return
    this.behind = time < edge - 1
    this.video.currentTime = Math.min(time, edge)
  }

  seekDate(date: number): boolean {
    const { details } = this
    const position = details?.live ? positionAt(details.fragments, date) : null
    if (!details || position === null || position < details.fragmentStart + leaving) return false
    this.seek(position)
    return true
  }

  protected load(): void {
    const hls = this.open(liveConfig(this.held))
    this.advancedAt = this.now()
    this.latency.reset()
    this.behind = false
    this.date = null
    hls.on(Hls.Events.LEVEL_SWITCHING, () => {
      if (this.current.phase === 'playing') this.latency.switching(this.now())
    })
    hls.on(Hls.Events.LEVEL_UPDATED, (_event, data) => {
      if (data.details.advanced) this.advancedAt = this.now()
    })
    hls.on(Hls.Events.INIT_PTS_FOUND, () => queueMicrotask(() => hurrySound(hls)))
    hls.on(Hls.Events.BUFFER_APPENDED, () => this.unstick(this.now()))
    this.play(hls)
  }

  protected override unload(): void {
    super.unload()
    this.rate = 1
  }

  private get wanted(): boolean {
    return !this.video.paused && document.visibilityState === 'visible'
  }

  protected watch(now: number): void {
    this.watchPlayback(now)
    this.watchPlace()
    this.holdEdge(now)
  }

  /** Who watches from behind may be overtaken by the end of the window. */
  private watchPlace(): void {
    const { details, video } = this
    if (!details?.live || video.seeking) return
    if (video.currentTime >= details.fragmentStart) this.date = dateAt(details.fragments, video.currentTime)
    if (this.behind && !video.paused && this.hasLeft(details)) this.leave()
  }

  private hasLeft(details: LevelDetails): boolean {
    return this.video.currentTime < details.fragmentStart + leaving
  }

  private leave(): void {
    if (this.date === null || !this.onLeft(this.date)) this.goLive()
  }

  private watchPlayback(now: number): void {
    const { details, video } = this
    const buffer = forwardBuffer(video)
    const standing = now - this.picture.at
    if (details && !details.live) {
      if (this.current.phase !== 'ended' && (video.ended || (buffer < nothing && standing > endedAfter)))
        this.end(details)
      return
    }
    if (buffer < nothing && standing > dryAfter && !video.paused && this.current.phase === 'playing') {
      this.stallCount++
      // A publisher that is gone is not a buffer that was too small.
      if (now - this.advancedAt < silentAfter) this.latency.stalled(now)
      this.dispatch({ type: 'dry' })
    }
    if (details && buffer < nothing && now - this.advancedAt > this.patience(details))
      this.dispatch({ type: 'silent' })
    const active = details !== null && !['ended', 'failed', 'idle'].includes(this.current.phase)
    const sighting = {
      now,
      frameAt: this.picture.at,
      advancedAt: this.advancedAt,
      fresh: details ? this.patience(details) : 0,
      watching: this.wanted && active,
    }
    if (this.watchdog.look(sighting)) this.reload()
  }

  /** Milliseconds that a running publisher never leaves the playlist without news. */
  private patience(details: LevelDetails): number {
    if (details.partTarget) return Math.max(silentAfter, details.partTarget * 4_000)
    return details.targetduration * 2_500
  }

  private holdEdge(now: number): void {
    const { hls, details, video } = this
    const { phase } = this.current
    if (!hls || !details?.live || this.behind || !this.wanted) return this.setRate(1)
    if (phase === 'waiting-for-publisher') return this.setRate(returnRate)
    if (phase !== 'playing' && phase !== 'stalled') return this.setRate(1)
    const holdBack = details.partHoldBack || details.holdBack || details.targetduration * 3
    const decision = this.latency.decide({
      now,
      latency: details.edge + details.age - video.currentTime,
      buffer: forwardBuffer(video),
      holdBack,
      partTarget: details.partTarget ?? 0,
      muted: video.muted,
    })
    this.target = decision.target
    this.setRate(decision.rate)
    if (decision.jump && !video.seeking) this.goLive()
  }

  /** Seeks out of a place where playback stands although it need not. */
  private unstick(now: number): void {
    const { video } = this
    const { phase } = this.current
    const moving = phase === 'playing' || phase === 'stalled' || phase === 'waiting-for-publisher'
    if (!moving || video.paused || video.seeking || video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA)
      return
    const to = wayOut({
      standing: now - this.picture.at,
      sinceSeek: now - this.unstuckAt,
      position: video.currentTime,
      ranges: rangesOf(video.buffered),
      gap: phase === 'waiting-for-publisher' ? this.gap : null,
      target: this.target,
    })
    if (to === null) return
    this.unstuckAt = now
    video.currentTime = to
  }

  private setRate(rate: number): void {
    if (this.rate === rate) return
    this.rate = rate
    this.video.playbackRate = rate
  }

  /** Who paused goes on where they paused, while that is still in the window; who never saw a picture starts at the edge. */
  private onPlay = (): void => {
    const { details, video } = this
    if (!details?.live) return
    if (this.current.phase !== 'playing') this.goLive()
    else if (this.hasLeft(details)) this.leave()
    else if (details.edge + details.age - video.currentTime > this.target + keptAfterPause) this.behind = true
    this.picture.restart(this.now())
  }

  protected onGone(): void {
    this.unload()
    this.forgetSound()
    this.dispatch({ type: 'offline' })
    const { signal } = this.waiting
    void untilLive(this.url, signal, this.knocking()).then(() => signal.aborted || this.load())
  }

  private end(details: LevelDetails): void {
    this.dispatch({ type: 'endlist' })
    const { signal } = this.waiting
    const media = details.url
    void untilNext(media, this.url, details.endSN, signal, this.knocking()).then(
      () => signal.aborted || this.load(),
    )
  }

  private knocking() {
    return {
      fetch: this.held.fetch,
      random: this.held.random,
      visible: () => document.visibilityState === 'visible',
      offline: this.offline,
    }
  }

  stats(): Stats {
    const { hls, details, video } = this
    const live = details?.live ?? false
    const end = hls?.liveSyncPosition ?? details?.edge ?? 0
    return {
      ...this.figures(),
      latency: details && live ? Math.max(0, details.edge + details.age - video.currentTime) : 0,
      target: this.target,
      rate: this.rate,
      buffer: forwardBuffer(video),
      behind: this.behind,
      window: details && live ? { start: details.fragmentStart, end } : null,
      dates: details && live ? datesOf(details.fragments, { at: this.date, end }) : null,
      partTarget: details?.partTarget ?? 0,
    }
  }
}
