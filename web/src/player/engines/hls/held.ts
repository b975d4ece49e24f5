import { backoff, pause } from '@/lib/backoff'
import { answers, edgeOf, plain } from './playlist-text'

/** One answer of the origin, as far as the loader cares. */
export interface Answer {
  status: number
  text: string
  url: string
  /** `Age` in seconds, null when no cache spoke. */
  age: number | null
  /** Monotonic milliseconds when the headers came. */
  first: number
}

export interface HeldOptions {
  fetch: typeof fetch
  now: () => number
  random: () => number
  /** Told when requests begin to fail to reach the origin, and when they do again. */
  onReach?: (reached: boolean) => void
}

/** A held reload that outlives this many milliseconds was lost on the way: origins let go after 8 s. */
const holdLimit = 12_000
/** A refusal later than this was the end of a hold, not a refusal to hold. */
const wasHeld = 1_000
/** A plain playlist is a short answer. */
const plainLimit = 5_000
/** How often in a row 404 is believed to be a moment's confusion. */
const mostMissing = 4

/**
 * A blocking playlist reload that is kept until its answer comes, so that a returning publisher is seen with
 * the very response that names its first part: no polling, and not one connection more than the player holds
 * anyway. hls.js alone would let go after 1.6 s and then ask once a second.
 *
 * Refusals at the end of a hold (503) are asked again at once, past every cache. Where the hold does not work
 * (a cache replays an old refusal, the server restarts, the network is gone) the plain playlist is asked at
 * growing pauses until it names what was wanted. Returns only with something worth telling hls.js:
 * the playlist, or the status that ends it. An aborted signal rejects with its reason.
 */
export async function holdPlaylist(
  url: string,
  wanted: { msn?: number; part?: number },
  signal: AbortSignal,
  options: HeldOptions,
): Promise<Answer> {
  let quick = 0
  let missing = 0
  let reachable = true
  for (let attempt = 0; ; attempt++) {
    const began = options.now()
    // A server that comes back is asked what it has before it is asked to hold: the viewer is told at once.
    const held = reachable
      ? await ask(url, attempt === 0 ? 'default' : 'no-store', holdLimit, signal, options)
      : null
    if (held?.status === 200) return held
    if (held?.status === 503 && options.now() - began >= wasHeld) {
      quick = 0
      continue
    }
    const unblocked = await ask(plain(url), 'no-store', plainLimit, signal, options)
    const returned = !reachable && unblocked !== null
    reachable = unblocked !== null
    if (unblocked?.status === 200) {
      missing = 0
      const edge = edgeOf(unblocked.text)
      // 400: the origin does not know the number asked for, so its own playlist is the truth.
      if (held?.status === 400 || !edge || answers(edge, wanted.msn ?? 0, wanted.part)) return unblocked
    } else if (unblocked && unblocked.status >= 400 && unblocked.status < 500) {
      if (++missing >= mostMissing) return unblocked
    }
    if (returned) continue
    await pause(backoff(quick++, { base: 250, cap: 1_000, random: options.random }), signal)
    signal.throwIfAborted()
  }
}

/** A playlist without directives, asked again while the origin cannot be reached. */
export async function fetchPlaylist(url: string, signal: AbortSignal, options: HeldOptions): Promise<Answer> {
  for (let attempt = 0; ; attempt++) {
    const answer = await ask(url, attempt === 0 ? 'default' : 'no-store', plainLimit, signal, options)
    if (answer && answer.status < 500) return answer
    await pause(backoff(attempt, { base: 250, cap: 2_000, random: options.random }), signal)
    signal.throwIfAborted()
  }
}

/** Null: no answer at all (refused, lost, too late). */
async function ask(
  url: string,
  cache: RequestCache,
  limit: number,
  signal: AbortSignal,
  { fetch, now, onReach }: HeldOptions,
): Promise<Answer | null> {
  signal.throwIfAborted()
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), limit)
  try {
    const response = await fetch(url, { cache, signal: AbortSignal.any([signal, timeout.signal]) })
    const first = now()
    const text = await response.text()
    onReach?.(true)
    const age = response.headers.get('age')
    return {
      status: response.status,
      text,
      url: response.url || url,
      age: age === null ? null : Number(age),
      first,
    }
  } catch {
    signal.throwIfAborted()
    onReach?.(false)
    return null
  } finally {
    clearTimeout(timer)
  }
}
