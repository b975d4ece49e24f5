import { backoff } from '@/lib/backoff'

/** What to do about an error that hls.js calls fatal. */
export type Remedy =
  | { do: 'restart-load'; after: number }
  | { do: 'recover-media' }
  | { do: 'swap-codec' }
  | { do: 'reload'; after: number }
  | { do: 'give-up' }

/** A media error this many milliseconds after the last one is the same trouble, not a new one. */
const sameTrouble = 5_000
/** Milliseconds after which earlier reloads are forgotten. */
const calm = 60_000
const mostReloads = 6

/**
 * The recovery ladder: network errors start loading again with growing pauses, media errors climb from
 * recovery over another audio codec to a new source, and six new sources without a picture are the end.
 */
export class Recovery {
  private networkTries = 0
  private mediaStep = 0
  private mediaAt = -Infinity
  private reloads = 0
  private reloadAt = -Infinity

  constructor(private readonly random: () => number = Math.random) {}

  /** A picture was decoded: the network and the source are sound. */
  sound(now: number): void {
    this.networkTries = 0
    if (now - this.mediaAt > sameTrouble) this.mediaStep = 0
    if (now - this.reloadAt > calm) this.reloads = 0
  }

  network(): Remedy {
    const after = backoff(this.networkTries++, { base: 1_000, cap: 8_000, random: this.random })
    return { do: 'restart-load', after }
  }

  media(now: number): Remedy {
    if (now - this.mediaAt > sameTrouble) this.mediaStep = 0
    this.mediaAt = now
    switch (this.mediaStep++) {
      case 0:
        return { do: 'recover-media' }
      case 1:
        return { do: 'swap-codec' }
      default:
        this.mediaStep = 0
        return this.other(now)
    }
  }

  other(now: number): Remedy {
    if (now - this.reloadAt > calm) this.reloads = 0
    this.reloadAt = now
    if (this.reloads >= mostReloads) return { do: 'give-up' }
    return { do: 'reload', after: backoff(this.reloads++, { base: 500, cap: 8_000, random: this.random }) }
  }
}
