import { backoff, type BackoffOptions, pause } from '@/lib/backoff'
import { Emitter } from '@/lib/emitter'
import type { EngineEvents, Path, PlayerEngine, Stats, Unusable } from '../engine'
import { type EngineEvent, type EngineState, idle, next } from '../states'
import { hasNews, pathOf, pictureOf, type Reading } from './path'
import { Peer } from './peer'
import { Signalling, SignallingError } from './signalling'

export interface EngineOptions {
  video: HTMLVideoElement
  /** WHEP endpoint; valid before the stream is live. */
  url: string
  /** The first picture is here: who plays in the element has to leave it now. */
  takeOver: () => void
  fetch?: typeof fetch
  createPeer?: () => RTCPeerConnection
  now?: () => number
  random?: () => number
}

/** Milliseconds between two looks at the connection. */
const tickEvery = 200
/** Readings that a mean is made of: a second. */
const readings = 6
/** Milliseconds in which a connection has to come up. */
const comeUp = 3_000
/** Milliseconds without a new picture that count as dry, and without any packet that the publisher is missed. */
const dryAfter = 1_000
const silentAfter = 2_500
/** Milliseconds of packets without a picture after which it is said that none will come. */
const undecodedAfter = 5_000
/** Milliseconds that a connection has to last so that the next one may follow at once. */
const lasting = 10_000
/** Milliseconds between two offers while the stream is not live; hidden pages ask less often. */
const often = 1_000
const seldom = 5_000

/** Thrown inside where another try would end like this one. */
class UnusableError extends Error {
  constructor(readonly why: Unusable) {
    super(why)
  }
}

/**
 * Plays one live stream into a media element by WebRTC. It connects beside whatever plays in the element and takes it
 * with the first picture, so that one who cannot use it sees no gap. From then on it survives publisher, network and
 * server going away and coming back; where that does not work it says `unusable` and leaves.
 *
 * What is seen is measured (statistics every 200 ms), never inferred from the state of the connection: a publisher who
 * is away leaves the connection as it is.
 */
export class WhepEngine extends Emitter<EngineEvents> implements PlayerEngine {
  private readonly o: Required<EngineOptions>
  private readonly signalling: Signalling
  private current: EngineState = idle
  private timer: ReturnType<typeof setInterval> | undefined
  private running = new AbortController()
  private peer: Peer | null = null
  /** The element is ours. */
  private taken = false
  private looking = false
  private past: Reading[] = []
  private path: Path | null = null
  private told: Stats | null = null
  private newsAt = 0
  private packetsAt = 0
  /** Since when pictures come in and none is decoded; null: it is not so. */
  private undecodedSince: number | null = null
  private reached = true
  private stalls = 0
  private reloads = 0

  constructor(options: EngineOptions) {
    super()
    this.o = {
      fetch: globalThis.fetch.bind(globalThis),
      createPeer: () => new RTCPeerConnection(),
      now: () => performance.now(),
      random: Math.random,
      ...options,
    }
    this.signalling = new Signalling(options.url, this.o.fetch)
  }

  static get supported(): boolean {
    return 'RTCPeerConnection' in globalThis
  }

  start(): void {
    if (this.timer !== undefined) return
    this.timer = setInterval(() => void this.tick(), tickEvery)
    globalThis.addEventListener?.('pagehide', this.onLeave)
    globalThis.addEventListener?.('pageshow', this.onReturn)
    void this.run()
  }

  destroy(): void {
    clearInterval(this.timer)
    this.timer = undefined
    globalThis.removeEventListener?.('pagehide', this.onLeave)
    globalThis.removeEventListener?.('pageshow', this.onReturn)
    this.stop()
    if (this.taken) this.o.video.srcObject = null
    this.taken = false
    this.dispatch({ type: 'unload' })
    this.clear()
  }

  retry(): void {
    this.stop()
    void this.run()
  }

  /** There is no place but the edge. */
  goLive(): void {
    return
  }

  seek(): void {
    return
  }

  seekDate(): boolean {
    return false
  }

  /** The server chooses by what gets through. */
  choose(): void {
    return
  }

  private onLeave = (): void => this.stop()

  /** Some browsers keep a page that was left, and show it again as it was. */
  private onReturn = (event: PageTransitionEvent): void => {
    if (event.persisted) this.retry()
  }

  private stop(): void {
    this.running.abort()
    this.running = new AbortController()
    this.leave()
  }

  private leave(): void {
    this.peer?.close()
    this.peer = null
    this.past = []
    this.undecodedSince = null
  }

  /** One connection after another, until it is stopped or of no use. */
  private async run(): Promise<void> {
    const { signal } = this.running
    for (let failures = 0; !signal.aborted;) {
      try {
        const begun = this.o.now()
        await this.connect(signal)
        // One that ends at once is as good as a failure, or offers would follow each other without pause.
        failures = this.o.now() - begun > lasting ? 0 : failures + 1
        if (failures > 0) await pause(backoff(failures - 1, this.spread), signal)
      } catch (error) {
        if (signal.aborted) return
        this.leave()
        const wait = this.judge(error, failures++)
        if (wait === null) return
        await pause(wait, signal)
      }
    }
  }

  /** Plays by one connection until that is lost. */
  private async connect(signal: AbortSignal): Promise<void> {
    const peer = new Peer(this.o.createPeer(), this.signalling, signal)
    this.peer = peer
    await peer.open()
    this.reached = true
    this.packetsAt = this.newsAt = this.o.now()
    if (this.taken) this.show(peer)
    if (!(await peer.connects(comeUp))) throw new UnusableError('network')
    do await peer.lost()
    while (!signal.aborted && (await this.mend(peer)))
    if (signal.aborted) return
    this.reloads++
    this.leave()
  }

  private async mend(peer: Peer): Promise<boolean> {
    try {
      await peer.restart()
      return await peer.connects(comeUp)
    } catch {
      // The session is over, or the server out of reach: a new offer tells which.
      return false
    }
  }

  /** Milliseconds until the next try; null: there is none. */
  private judge(error: unknown, failures: number): number | null {
    if (!(error instanceof SignallingError))
      return this.giveUp(error instanceof UnusableError ? error.why : 'network')
    const { status, retryAfter } = error
    this.reached = status !== 0
    if (this.told) this.emit('stats', (this.told = { ...this.told, reached: this.reached }))
    if (status === 404) {
      this.dispatch({ type: this.taken ? 'endlist' : 'offline' })
      return Math.max(retryAfter, backoff(0, this.spread))
    }
    if (status === 0 || status === 429 || status >= 500)
      return Math.max(retryAfter, backoff(failures, this.spread))
    return this.giveUp('stream')
  }

  private get spread(): BackoffOptions {
    const base = document.visibilityState === 'visible' ? often : seldom
    return { base, cap: 8_000, random: this.o.random }
  }

  private giveUp(why: Unusable): null {
    this.stop()
    this.emit('unusable', why)
    return null
  }

  private show(peer: Peer): void {
    this.o.video.srcObject = peer.stream
    // Whatever was loading before, this is something else to begin playback of.
    this.current = idle
    this.dispatch({ type: 'load' })
  }

  private async tick(): Promise<void> {
    const { peer } = this
    if (peer && !this.looking) {
      this.looking = true
      const reading = await peer.reading().catch(() => null)
      this.looking = false
      if (reading && peer === this.peer) this.look(peer, reading)
    }
    this.watch()
  }

  private look(peer: Peer, reading: Reading): void {
    const now = this.o.now()
    const last = this.past.at(-1)
    this.past.push(reading)
    const packets = (r?: Reading) => (r ? r.videoPackets + r.audioPackets : 0)
    if (packets(reading) > packets(last)) this.packetsAt = now
    if (hasNews(last, reading)) {
      this.newsAt = now
      this.news(peer)
    }
    if (reading.decoded > (last?.decoded ?? 0) || this.isPaused) this.undecodedSince = null
    else if (reading.videoPackets > (last?.videoPackets ?? 0)) {
      this.undecodedSince ??= now
      if (now - this.undecodedSince > undecodedAfter) return void this.giveUp('stream')
    }
    const before = this.past.length > readings ? this.past.shift() : this.past[0]
    if (!before || before === reading) return
    this.path = pathOf(before, reading) ?? this.path
    if (this.taken) this.emit('stats', (this.told = this.stats(before, reading)))
  }

  /** Browsers need not decode what nobody sees. */
  private get isPaused(): boolean {
    return this.taken && this.o.video.paused
  }

  private news(peer: Peer): void {
    if (!this.taken) {
      this.taken = true
      this.o.takeOver()
      this.show(peer)
    }
    this.dispatch({ type: 'frame' })
  }

  /** Tells dry and silent by what came in, with or without a connection. */
  private watch(): void {
    const now = this.o.now()
    if (!this.taken) return
    if (this.current.phase === 'playing' && now - this.newsAt > dryAfter && !this.isPaused) {
      this.stalls++
      this.dispatch({ type: 'dry' })
    }
    if (now - this.packetsAt > silentAfter) this.dispatch({ type: 'silent' })
  }

  private dispatch(event: EngineEvent): void {
    const before = this.current
    this.current = next(before, event)
    if (this.current !== before) this.emit('state', this.current)
  }

  private stats(before: Reading, now: Reading): Stats {
    const { path } = this
    // While the picture stands it grows old, whatever the way took.
    const standing = this.o.now() - this.newsAt
    const age = standing > dryAfter ? standing / 1_000 : 0
    return {
      latency: path ? path.network + path.processing + age : 0,
      target: 0,
      rate: 1,
      buffer: 0,
      behind: false,
      reached: this.reached,
      stalls: this.stalls,
      reloads: this.reloads,
      decoded: now.decoded,
      dropped: now.dropped,
      bandwidth: 0,
      level: pictureOf(before, now),
      window: null,
      dates: null,
      partTarget: 0,
      path: path && { ...path, lost: now.lost },
    }
  }
}
