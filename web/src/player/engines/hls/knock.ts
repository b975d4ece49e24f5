import { backoff, pause } from '@/lib/backoff'
import { edgeOf } from './playlist-text'

export interface KnockOptions {
  fetch: typeof fetch
  random: () => number
  /** Whether the page is in sight; hidden pages knock less often. */
  visible: () => boolean
  /** Whether it is known that nothing is there: then nobody knocks. */
  offline?: (() => boolean) | undefined
}

/** Milliseconds between two knocks, in sight and hidden. A 404 is cached for one second. */
const often = 1_000
const seldom = 5_000

/** Resolves once the multivariant playlist answers, which it does from the first complete segment on. */
export async function untilLive(url: string, signal: AbortSignal, options: KnockOptions): Promise<void> {
  await knock(signal, options, async (fetch) => (await fetch(url)).ok)
}

/**
 * Resolves once the stream whose media playlist said that it is over has something newer than `last`, the
 * number of its last segment. When the old playlist has gone, the multivariant one is asked.
 */
export async function untilNext(
  media: string,
  multivariant: string,
  last: number,
  signal: AbortSignal,
  options: KnockOptions,
): Promise<void> {
  await knock(signal, options, async (fetch) => {
    const response = await fetch(media)
    if (!response.ok) return (await fetch(multivariant)).ok
    const edge = edgeOf(await response.text())
    return edge !== null && !edge.ended && edge.msn > last
  })
}

async function knock(
  signal: AbortSignal,
  options: KnockOptions,
  ask: (get: (url: string) => Promise<Response>) => Promise<boolean>,
): Promise<void> {
  const get = (url: string) =>
    options.fetch(url, { cache: 'no-cache', signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) })
  while (!signal.aborted) {
    const base = options.visible() ? often : seldom
    await pause(backoff(0, { base, cap: base, random: options.random }), signal)
    if (signal.aborted) return
    if (options.offline?.()) continue
    // An origin that cannot be reached is asked again like one that says no.
    if (await ask(get).catch(() => false)) return
  }
}
