import Hls, { type ErrorData, type HlsConfig, type LevelDetails } from 'hls.js'
import { pause } from '@/lib/backoff'
import { Emitter } from '@/lib/emitter'
import type { EngineEvents, PlayerEngine, Stats } from '../engine'
import { faultOf } from './faults'
import { forgive } from './forgive'
import type { HeldOptions } from './held'
import { PictureClock } from './picture'
import { levelOf, qualitiesOf, soundOf, type SoundVariant, type Wish } from './quality'
import { Recovery, type Remedy } from './recovery'
import { type EngineEvent, type EngineState, type Failure, idle, next } from '../states'
import { pictureOf } from './stats'

export interface HlsOptions {
  video: HTMLVideoElement
  /** Multivariant playlist. */
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
export const dryAfter = 350
/** Seconds of buffer that are as good as none: browsers stop with the last few pictures still in hand. */
export const nothing = 0.2
/** hls.js never forgives a level's errors by itself; a rung that was shed and is back would stay unused. */
const forgiveEvery = 30_000
/** Milliseconds after which a failure that another try may heal is tried again. */
const retryFailed = 30_000

/**
 * What every engine around hls.js does: it loads a source into a media element, follows the viewer's wish for a
 * quality through all sources, recovers from errors and tells its state. What is played from where, and what is done
 * at the edge of it, is for those who extend it.
 */
export abstract class HlsBase extends Emitter<EngineEvents> implements PlayerEngine {
  protected readonly video: HTMLVideoElement
  protected readonly url: string
  protected readonly now: () => number
  protected readonly held: HeldOptions
  protected readonly recovery: Recovery
  protected readonly picture: PictureClock

  protected hls: Hls | null = null
  protected current: EngineState = idle
  /** Ends whatever the present source waits for: knocks, delayed remedies. */
  protected waiting = new AbortController()
  protected stallCount = 0
  protected reached = true

  private timer: ReturnType<typeof setInterval> | undefined
  private forgivenAt = 0
  private failedAt = 0
  private ticks = 0
  private reloadCount = 0
  private wish: Wish = 'auto'
  /** The variant of sound alone that the newest multivariant playlist named. */
  private sound: SoundVariant | null = null
  /** Levels of the newest multivariant playlist; while sound alone plays, hls.js knows none of them. */
  private ladder: Look[] = []

  constructor(options: HlsOptions) {
    super()
    this.video = options.video
    this.url = options.url
    this.now = options.now ?? (() => performance.now())
    const random = options.random ?? Math.random
    const ask = options.fetch ?? globalThis.fetch.bind(globalThis)
    this.recovery = new Recovery(random)
    this.picture = new PictureClock(options.video)
    this.held = {
      fetch: async (...request) => {
        const response = await ask(...request)
        if (response.status === 403) this.emit('denied', null)
        return response
      },
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

  abstract goLive(): void
  abstract seek(time: number): void
  abstract seekDate(date: number): boolean
  abstract stats(): Stats
  /** Loads the source anew. */
  protected abstract load(): void
  /** Looks at playback, several times a second. */
  protected abstract watch(now: number): void
  /** The address answers that nothing is there. */
  protected abstract onGone(): void

  start(): void {
    if (this.timer !== undefined) return
    this.timer = setInterval(() => this.tick(), tickEvery)
    document.addEventListener('visibilitychange', this.onVisible)
    this.picture.start()
    this.load()
  }

  destroy(): void {
    clearInterval(this.timer)
    this.timer = undefined
    document.removeEventListener('visibilitychange', this.onVisible)
    this.picture.stop()
    this.unload()
    this.dispatch({ type: 'unload' })
    this.clear()
  }

  /** Loads the source anew, as the viewer would by reloading the page. */
  retry(): void {
    this.load()
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

  /** Makes the hls.js of a new source, which begins with `play`. */
  protected open(config: Partial<HlsConfig>): Hls {
    this.unload()
    const hls = new Hls(config)
    this.hls = hls
    this.forgivenAt = this.now()
    this.picture.restart(this.now())
    hls.on(Hls.Events.MANIFEST_LOADED, (_event, data) => {
      if (this.plays === 'picture') this.sound = soundOf(data.levels)
    })
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.onParsed(hls))
    hls.on(Hls.Events.LEVELS_UPDATED, () => this.onLevels(hls))
    hls.on(Hls.Events.LEVEL_SWITCHED, () => this.tellQualities())
    hls.on(Hls.Events.ERROR, (_event, data) => this.onError(data))
    return hls
  }

  protected play(hls: Hls): void {
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

  protected unload(): void {
    this.waiting.abort()
    this.waiting = new AbortController()
    this.hls?.destroy()
    this.hls = null
  }

  /** What offered sound alone is asked for it again. */
  protected forgetSound(): void {
    this.sound = null
  }

  protected reload(): void {
    this.reloadCount++
    this.load()
  }

  protected dispatch(event: EngineEvent): void {
    const before = this.current
    this.current = next(before, event)
    if (this.current !== before) this.emit('state', this.current)
  }

  protected get details(): LevelDetails | null {
    return this.hls?.latestLevelDetails ?? null
  }

  private tick(): void {
    const now = this.now()
    if (this.picture.look(now)) {
      this.recovery.sound(now)
      this.dispatch({ type: 'frame' })
    }
    this.watch(now)
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
    if (++this.ticks % statsEvery === 0) this.emit('stats', this.stats())
  }

  /** hls.js drops the viewer's choice with a level's first error; with the level it comes back. */
  private async pardon(hls: Hls): Promise<void> {
    const { signal } = this.waiting
    await forgive(hls.levels, this.held.fetch, signal)
    const wanted = hls.levels?.[levelOf(hls.levels, this.wish)]
    if (!signal.aborted && wanted?.loadError === 0) this.grant()
  }

  private onVisible = (): void => {
    // Hidden pages are slowed down by the browser; on return playback has its time again.
    this.picture.restart(this.now())
  }

  private onError(data: ErrorData): void {
    // Playlists come through held.ts, which has told of it; segments do not.
    if (data.response?.code === 403 && data.frag) this.emit('denied', null)
    if (!data.fatal) return
    switch (faultOf(data)) {
      case 'codec':
        return this.fail('codec')
      case 'gone':
        return this.onGone()
      case 'network':
        return this.apply(this.recovery.network())
      case 'media':
        return this.apply(this.recovery.media(this.now()))
      case 'other':
        return this.apply(this.recovery.other(this.now()))
    }
  }

  protected apply(remedy: Remedy): void {
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
  protected later(ms: number, run: () => void): void {
    const { signal } = this.waiting
    void pause(ms, signal).then(() => signal.aborted || run())
  }

  protected fail(failure: Failure): void {
    this.failedAt = this.now()
    this.unload()
    this.dispatch({ type: 'give-up', failure })
  }

  private tellQualities(): void {
    const active = this.plays === 'sound' ? -1 : (this.hls?.currentLevel ?? -1)
    this.emit('qualities', qualitiesOf(this.ladder, this.sound, active, this.wish))
  }

  /** The figures that are the same for every source. */
  protected figures() {
    return {
      reached: this.reached,
      stalls: this.stallCount,
      reloads: this.reloadCount,
      decoded: this.picture.frames,
      dropped: this.picture.dropped,
      bandwidth: this.hls?.bandwidthEstimate ?? 0,
      level: this.hls ? pictureOf(this.hls) : null,
      path: null,
    }
  }
}
