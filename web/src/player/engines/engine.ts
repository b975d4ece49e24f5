import type { Dates } from './hls/dates'
import type { Quality, Wish } from './hls/quality'
import type { EngineState } from './states'

/** What a viewer can choose between: LL-HLS, or WebRTC with less delay and no second chance for lost pictures. */
export type Delivery = 'low' | 'real'

/** What the badge and the overlay show. Times in seconds, rates in bits per second. */
export interface Stats {
  latency: number
  target: number
  rate: number
  buffer: number
  behind: boolean
  reached: boolean
  stalls: number
  reloads: number
  decoded: number
  dropped: number
  bandwidth: number
  level: { width: number; height: number; fps: number; bitrate: number; codecs: string } | null
  /** Positions between which the viewer may seek. */
  window: { start: number; end: number } | null
  /** The same as programme dates, with that of the picture; null where the stream tells none. */
  dates: Dates | null
  partTarget: number
  /**
   * What `latency` is the sum of, where it is measured along the way of the packets; null where it is the distance
   * to the live edge.
   */
  path: Path | null
}

/** From the server to the screen, in seconds, means of about the last second. */
export interface Path {
  /** Half a round trip. */
  network: number
  /** In the jitter buffer and the decoder, from a picture's first packet on. */
  processing: number
  /** Packets that never came, since the connection began. */
  lost: number
}

/** Why a way of delivery does not work: the network lets nothing through, or the stream cannot be sent that way. */
export type Unusable = 'network' | 'stream'

export interface EngineEvents {
  state: EngineState
  qualities: Quality[]
  /** Several times a second while a source is loaded. */
  stats: Stats
  /** This way of delivery does not work here; the engine has stopped. */
  unusable: Unusable
  /** Media answered 403: the address is not good any more for who watches. The engine goes on trying. */
  denied: null
}

/** Plays one source into a media element until it is destroyed. */
export interface PlayerEngine {
  on<K extends keyof EngineEvents>(event: K, listener: (value: EngineEvents[K]) => void): () => void
  start(): void
  destroy(): void
  /** Loads the source anew, as the viewer would by reloading the page. */
  retry(): void
  goLive(): void
  seek(time: number): void
  /** Seeks to a programme date, epoch milliseconds. False: that is not in what this engine plays, and it does nothing. */
  seekDate(date: number): boolean
  choose(wish: Wish): void
}
