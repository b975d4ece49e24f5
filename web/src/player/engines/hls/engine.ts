import Hls, { type ErrorData, type LevelDetails } from 'hls.js'
import { pause } from '@/lib/backoff'
import { Emitter } from '@/lib/emitter'
import { liveConfig } from './config'
import type { EngineEvents, PlayerEngine, Stats } from '../engine'
import { faultOf } from './faults'
import { forgive } from './forgive'
import type { HeldOptions } from './held'
import { hurrySound } from './hurry'
import { untilLive, untilNext } from './knock'
import { LatencyController, returnRate } from './latency'
import { PictureClock } from './picture'
import { levelOf, qualitiesOf, soundOf, type SoundVariant, type Wish } from './quality'
import { Recovery, type Remedy } from './recovery'
import { type EngineEvent, type EngineState, type Failure, idle, next } from '../states'
import { forwardBuffer, pictureOf } from './stats'
import { rangesOf, wayOut } from './unstick'
import { Watchdog } from './watchdog'

export interface EngineOptions {
  video: HTMLVideoElement
  /** Multivariant playlist; valid before the stream is live. */
  url: string
  fetch?: typeof fetch
  now?: () => number
  random?: () => number
}

type Look = { height: number; frameRate: number; bitrate: number }

/** Milliseconds between two looks at buffer and picture. */
const tickEvery = 100
/** Ticks between two `stats` events. */
const statsEvery = 2
/** Milliseconds without a new picture and without buffer that count as dry. */
const dryAfter = 350
/** Seconds of buffer that are as good as none: browsers stop with the last few pictures still in hand. */
const nothing = 0.2
/** Milliseconds without news after which the publisher is missed: several parts, but at least this. */
const silentAfter = 1_000
/** Milliseconds that the picture stands at the end of an ENDLIST before the stream counts as ended. */
const endedAfter = 2_000
/** Seconds behind the target from where a pause counts as a choice of place. */
const keptAfterPause = 1
/** hls.js never forgives a level's errors by itself; a rung that was shed and is back would stay unused. */
const forgiveEvery = 30_000
/** Milliseconds after which a failure that another try may heal is tried again. */
const retryFailed = 30_000

/**
 * Plays one live stream into a media element for as long as the page is open: waits for it to start, holds
 * the live edge, survives publisher, network and server going away and coming back, and goes on with the
 * next session. Everything it knows of time and chance comes from its options.
 */
export class HlsEngine extends Emitter<EngineEvents> implements PlayerEngine {
  private readonly video: HTMLVideoElement
  private readonly url: string
  private readonly now: () => number
  private readonly held: HeldOptions
  private readonly latency = new LatencyController()
  private readonly recovery: Recovery
  private readonly watchdog = new Watchdog()
  private readonly picture: PictureClock

  private hls: Hls | null = null
  private current: EngineState = idle
  private timer: ReturnType<typeof setInterval> | undefined
  /** Ends whatever the present source waits for: knocks, delayed remedies. */
  private waiting = new AbortController()

  private advancedAt = 0
  private unstuckAt = -Infinity
  /** Where the media ended when the publisher was first missed. */
  private gap: number | null = null
  private forgivenAt = 0
  private failedAt = 0
  private ticks = 0
  private stallCount = 0
  private reloadCount = 0
  private rate = 1
  private target = 0
  private reached = true
  private behind = false
  private wish: Wish = 'auto'
  /** The variant of sound alone that the newest multivariant playlist named. */
  private sound: SoundVariant | null = null
  /** Levels of the newest multivariant playlist; while sound alone plays, hls.js knows none of them. */
  private ladder: Look[] = []

  constructor(options: EngineOptions) {
    super()
    this.video = options.video
    this.url = options.url
    this.now = options.now ?? (() => performance.now())
    const random = options.random ?? Math.random
    this.recovery = new Recovery(random)
    this.picture = new PictureClock(options.video)
    this.held = {
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
      now: this.now,
      random,
      onReach: (reached) => (this.reached = reached),
    }
  }

  static get supported(): boolean {
    return Hls.isSupported()
  }

  get state(): EngineState {
    return this.current
  }

  /** Whether the viewer has chosen a place behind the live edge. */
  get isBehind(): boolean {
    return this.behind
  }

  start(): void {
    if (this.timer !== undefined) return
    this.timer = setInterval(() => this.tick(), tickEvery)
    document.addEventListener('visibilitychange', this.onVisible)
    this.video.addEventListener('play', this.onPlay)
    this.picture.start()
    this.load()
  }

  destroy(): void {
    clearInterval(this.timer)
    this.timer = undefined
    document.removeEventListener('visibilitychange', this.onVisible)
    this.video.removeEventListener('play', this.onPlay)
    this.picture.stop()
    this.unload()
    this.dispatch({ type: 'unload' })
    this.clear()
  }

  /** Loads the source anew, as the viewer would by reloading the page. */
  retry(): void {
    this.load()
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

  /** The wish outlasts the source: the next multivariant playlist is searched for it again. */
  choose(wish: Wish): void {
    const before = this.wish
    this.wish = wish
    // Sound alone is a source of its own, since hls.js cannot leave a picture out.
    if ((before === 'sound') !== (wish === 'sound') && this.ladder.length > 0) this.load()
    else this.grant()
    this.tellQualities()
  }

  /**
   * Turns to the level that was wished for. `nextLevel`, because `currentLevel` empties the buffer, and with half
   * a second in it that is a stall. At the live edge `nextLevel` flushes nothing, the new level begins where the
   * buffer ends; only who watches from behind with seconds in hand sees it sooner, by a flush that hls.js puts
   * later than the new media can be there.
   */
  private grant(): void {
    const { hls } = this
    if (!hls || this.plays === 'sound') return
    const level = levelOf(hls.levels, this.wish)
    const now = hls.autoLevelEnabled ? -1 : hls.loadLevel
    if (level !== now) hls.nextLevel = level
  }

  /** What the present source is. */
  private get plays(): 'picture' | 'sound' {
    return this.sound !== null && this.hls?.url === this.sound.url ? 'sound' : 'picture'
  }

  private load(): void {
    this.unload()
    const hls = new Hls(liveConfig(this.held))
    this.hls = hls
    this.advancedAt = this.now()
    this.forgivenAt = this.now()
    this.picture.restart(this.now())
    this.latency.reset()
    this.behind = false
    hls.on(Hls.Events.MANIFEST_LOADED, (_event, data) => {
      if (this.plays === 'picture') this.sound = soundOf(data.levels)
    })
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.onParsed(hls))
    hls.on(Hls.Events.LEVELS_UPDATED, () => this.onLevels(hls))
    hls.on(Hls.Events.LEVEL_SWITCHING, () => {
      if (this.current.phase === 'playing') this.latency.switching(this.now())
    })
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.tellQualities())
    hls.on(Hls.Events.LEVEL_UPDATED, (_event, data) => {
      if (data.details.advanced) this.advancedAt = this.now()
    })
    hls.on(Hls.Events.INIT_PTS_FOUND, () => queueMicrotask(() => hurrySound(hls)))
    hls.on(Hls.Events.BUFFER_APPENDED, () => this.unstick(this.now()))
    hls.on(Hls.Events.ERROR, (_event, data) => this.onError(data))
    hls.attachMedia(this.video)
    hls.loadSource(this.wish === 'sound' && this.sound ? this.sound.url : this.url)
    this.dispatch({ type: 'load' })
  }

  private onParsed(hls: Hls): void {
    if (this.plays === 'picture') {
      // Wished for before it was known: now it is.
      if (this.wish === 'sound' && this.sound) return queueMicrotask(() => this.hls === hls && this.load())
      this.onLevels(hls)
    }
    this.tellQualities()
  }

  /** Levels come with each multivariant playlist, and go when hls.js finds that it cannot play one. */
  private onLevels(hls: Hls): void {
    if (this.plays === 'sound') return
    this.ladder = hls.levels.map(({ height, frameRate, bitrate }) => ({ height, frameRate, bitrate }))
    this.grant()
    this.tellQualities()
  }

  private unload(): void {
    this.waiting.abort()
    this.waiting = new AbortController()
    this.hls?.destroy()
    this.hls = null
    this.rate = 1
  }

  private reload(): void {
    this.reloadCount++
    this.load()
  }

  private dispatch(event: EngineEvent): void {
    const before = this.current
    this.current = next(before, event)
    if (this.current !== before) this.emit('state', this.current)
  }

  private get details(): LevelDetails | null {
    return this.hls?.latestLevelDetails ?? null
  }

  private get wanted(): boolean {
    return !this.video.paused && document.visibilityState === 'visible'
  }

  private tick(): void {
    const now = this.now()
    if (this.picture.look(now)) {
      this.recovery.sound(now)
      this.dispatch({ type: 'frame' })
    }
    this.watchPlayback(now)
    if (
      this.current.phase === 'failed' &&
      this.current.failure === 'media' &&
      now - this.failedAt > retryFailed
    ) {
      this.reload()
    }
    if (this.hls && now - this.forgivenAt > forgiveEvery) {
      this.forgivenAt = now
      void this.pardon(this.hls)
    }
    this.holdEdge(now)
    if (++this.ticks % statsEvery === 0) this.emit('stats', this.stats())
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

  /** hls.js drops the viewer's choice with a level's first error; with the level it comes back. */
  private async pardon(hls: Hls): Promise<void> {
    const { signal } = this.waiting
    await forgive(hls.levels, this.held.fetch, signal)
    const wanted = hls.levels?.[levelOf(hls.levels, this.wish)]
    if (!signal.aborted && wanted?.loadError === 0) this.grant()
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

  private onVisible = (): void => {
    // Hidden pages are slowed down by the browser; on return the edge is where the viewer wants to be.
    this.picture.restart(this.now())
  }

  /** Who paused goes on where they paused, while that is still in the window; who never saw a picture starts at the edge. */
  private onPlay = (): void => {
    const { details, video } = this
    if (!details?.live) return
    if (this.current.phase !== 'playing' || video.currentTime < details.fragmentStart + 1) this.goLive()
    else if (details.edge + details.age - video.currentTime > this.target + keptAfterPause) this.behind = true
    this.picture.restart(this.now())
  }

  private onError(data: ErrorData): void {
    if (!data.fatal) return
    switch (faultOf(data)) {
      case 'codec':
        return this.fail('codec')
      case 'gone':
        return this.awaitLive()
      case 'network':
        return this.apply(this.recovery.network())
      case 'media':
        return this.apply(this.recovery.media(this.now()))
      case 'other':
        return this.apply(this.recovery.other(this.now()))
    }
  }

  private apply(remedy: Remedy): void {
    const { hls } = this
    switch (remedy.do) {
      case 'recover-media':
        hls?.recoverMediaError()
        break
      case 'swap-codec':
        hls?.swapAudioCodec()
        hls?.recoverMediaError()
        break
      case 'restart-load':
        this.later(remedy.after, () => hls?.startLoad())
        break
      case 'reload':
        this.later(remedy.after, () => this.reload())
        break
      case 'give-up':
        this.fail('media')
    }
  }

  /** Runs once after `ms`, unless another source has been loaded meanwhile. */
  private later(ms: number, run: () => void): void {
    const { signal } = this.waiting
    void pause(ms, signal).then(() => signal.aborted || run())
  }

  private fail(failure: Failure): void {
    this.failedAt = this.now()
    this.unload()
    this.dispatch({ type: 'give-up', failure })
  }

  private awaitLive(): void {
    this.unload()
    // What offered it is asked for it again.
    this.sound = null
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
    }
  }

  private tellQualities(): void {
    const active = this.plays === 'sound' ? -1 : (this.hls?.currentLevel ?? -1)
    this.emit('qualities', qualitiesOf(this.ladder, this.sound, active, this.wish))
  }

  stats(): Stats {
    const { hls, details, video } = this
    const live = details?.live ?? false
    return {
      latency: details && live ? Math.max(0, details.edge + details.age - video.currentTime) : 0,
      target: this.target,
      rate: this.rate,
      buffer: forwardBuffer(video),
      behind: this.behind,
      reached: this.reached,
      stalls: this.stallCount,
      reloads: this.reloadCount,
      decoded: this.picture.frames,
      dropped: this.picture.dropped,
      bandwidth: hls?.bandwidthEstimate ?? 0,
      level: hls ? pictureOf(hls) : null,
      window:
        details && live ? { start: details.fragmentStart, end: hls?.liveSyncPosition ?? details.edge } : null,
      partTarget: details?.partTarget ?? 0,
      path: null,
    }
  }
}
